/**
 * What a person wants help with, and the door to the help: whoever shows trouble calls it, the
 * page decides what opens. Knows no component.
 */

import { createContext, useContext } from "react";
import type { TextFile } from "./drafts";
import type { Failure } from "./stream/events";

export type SupportCase =
  | { kind: "panel" }
  | { kind: "failure"; failure: Failure }
  | { kind: "log"; file: TextFile }
  | { kind: "offer"; answerId: string; requestId: string }; // of a notice in an answer

export const SupportContext = createContext<(it: SupportCase) => void>(() => undefined);

export function useSupport(): (it: SupportCase) => void {
  return useContext(SupportContext);
}

/** The page of a fault, in both languages, which the server itself has. */
export function faultPage(code: string): string {
  return `/faults/${encodeURIComponent(code)}`;
}
