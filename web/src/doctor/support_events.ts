/** What the support dialogue says (docs/support.md). Knows nothing of how it arrives or is drawn. */

import { ProtocolError } from "../stream/events";
import type { CheckStatus, Fact } from "./findings";

export type CaseState =
  | "examining"
  | "asking"
  | "awaiting_consent"
  | "watching"
  | "fixed"
  | "no_fault"
  | "handed_over";

export interface Bilingual {
  zh: string;
  en: string;
}

export type ShownStatus = CheckStatus | "running";

export interface Proof {
  line: number; // 0: no line of a text
  text: string;
  why: string;
}

export interface FaultFound {
  id: string;
  p: number;
  layer: string;
  title: Bilingual;
  evidence: Proof[];
  ruled_out: { id: string; title?: Bilingual; because: string }[];
  verify: string[];
}

export interface CheckSeen {
  check: string;
  layer: string;
  title: Bilingual;
  status: ShownStatus;
  because: string;
  evidence: Fact[];
  ms: number;
}

export interface CitedLine {
  line: number;
  text: string;
  fault: string;
  part: number;
  line_in_part: number;
}

export interface Question {
  question: string;
  text: Bilingual;
  choices: { id: string; label: Bilingual }[];
  free_text: boolean;
  suggested: string | null;
  about: string[];
}

export interface RemedyOffer {
  remedy: string;
  fault: string;
  safety: "auto" | "confirm" | "manual";
  do: Bilingual;
  commands: string[];
  needs_consent: boolean;
}

export interface Treated {
  remedy: string;
  fault: string;
  result: "fixed" | "undone" | "failed" | "refused" | "nothing-to-fix";
  because: string;
  can_undo: boolean;
}

type Body =
  | { type: "case"; case: string; state: CaseState; turn: number; lang: "zh" | "en"; saved: boolean }
  | { type: "heard"; text: string; lines: number; choice: string | null; consent: string | null; own_log?: boolean }
  | { type: "say"; key: string; text: string; by: "template" | "model" }
  | ({ type: "check" } & CheckSeen)
  | { type: "evidence"; lines: CitedLine[] }
  | { type: "diagnosis"; fault: FaultFound; summary: Bilingual; seen: boolean; others: string[]; n: number }
  | ({ type: "ask" } & Question)
  | ({ type: "remedy" } & RemedyOffer)
  | ({ type: "treated" } & Treated)
  | ({ type: "verify" } & Omit<CheckSeen, "layer" | "evidence" | "ms">)
  | { type: "handover"; bundle: string; summary: Bilingual }
  | { type: "done"; state: CaseState; final: boolean; fault: string; verified_by: string }
  | { type: "error"; code: string; title: string; cause: string; fix: string; request_id: string };

export type SupportEvent = Body & { seq: number };

/** Throws ProtocolError for what is no event. Kinds that this page does not know are kept: they are not drawn. */
export function toSupportEvent(value: unknown): SupportEvent {
  const event = value as Partial<SupportEvent> | null;
  if (typeof event !== "object" || typeof event?.seq !== "number" || typeof event.type !== "string") {
    throw new ProtocolError(`not an event: ${JSON.stringify(value)?.slice(0, 200)}`);
  }
  return event as SupportEvent;
}

export function isLast(event: SupportEvent): boolean {
  return event.type === "done" || event.type === "error";
}
