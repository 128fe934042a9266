/** Why the panel is opened, and where that is written in the address. Knows no component. */

import type { TextFile } from "../drafts";
import type { Failure } from "../stream/events";

export type Opening =
  | { kind: "panel" }
  | { kind: "failure"; failure: Failure; conversation?: string }
  | { kind: "log"; file: TextFile }
  | { kind: "offer"; text: string; request_id: string; conversation: string } // of a notice in an answer
  | { kind: "case"; id: string };

const PLACE = /^#\/doctor(?:\/([A-Za-z0-9_-]{1,64}))?$/;

/** undefined: the address names something else. */
export function openingIn(hash: string): Opening | undefined {
  const match = PLACE.exec(hash);
  if (!match) return undefined;
  return match[1] === undefined ? { kind: "panel" } : { kind: "case", id: match[1] };
}

export function doctorPlace(id: string | null): string {
  return id === null ? "#/doctor" : `#/doctor/${id}`;
}
