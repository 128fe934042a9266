/** Why the panel is opened, and where that is written: in the address, or in this tab. Draws nothing. */

import { useCallback, useEffect, useState } from "react";
import type { TextFile } from "../drafts";
import type { Failure } from "../stream/events";

export type Opening =
  | { kind: "panel" }
  | { kind: "failure"; failure: Failure; conversation?: string }
  | { kind: "log"; file: TextFile }
  | { kind: "offer"; text: string; request_id: string; conversation?: string } // of a notice in an answer
  | { kind: "case"; id: string };

const PLACE = /^#\/doctor(?:\/([A-Za-z0-9_-]{1,64}))?$/;

/** undefined: the address names something else. */
export function openingIn(hash: string): Opening | undefined {
  const match = PLACE.exec(hash);
  if (!match) return undefined;
  return match[1] === undefined ? { kind: "panel" } : { kind: "case", id: match[1] };
}

const CASE = "qwell.doctor.case"; // of this tab; empty: open, and no case begun

/** A page that is loaded again shows the case again. null: the panel is closed. */
export function rememberCase(id: string | null): void {
  try {
    if (id === null) sessionStorage.removeItem(CASE);
    else sessionStorage.setItem(CASE, id);
  } catch {
    // without storage the address of a case still leads to it
  }
}

function rememberedOpening(): Opening | null {
  try {
    const id = sessionStorage.getItem(CASE);
    if (id === null) return null;
    return id === "" ? { kind: "panel" } : { kind: "case", id };
  } catch {
    return null;
  }
}

/** null: the panel is closed. Follows the address: #/doctor, #/doctor/CASE. */
export function useOpening(): [Opening | null, (opening: Opening | null) => void] {
  const [opening, setOpening] = useState(() => openingIn(location.hash) ?? rememberedOpening());
  useEffect(() => {
    const follow = (): void => setOpening((old) => openingIn(location.hash) ?? old);
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  const open = useCallback((it: Opening | null) => {
    setOpening((old) => (it?.kind === "panel" && old ? old : it)); // it is open already
    if (it !== null) return;
    rememberCase(null);
    if (openingIn(location.hash)) history.replaceState(null, "", "#/");
  }, []);
  return [opening, open];
}
