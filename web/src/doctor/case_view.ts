/** A case as what is shown of it, top to bottom. A pure function of its events; draws nothing. */

import type {
  Bilingual,
  CaseState,
  CheckSeen,
  CitedLine,
  FaultFound,
  Question,
  RemedyOffer,
  ShownStatus,
  SupportEvent,
  Treated,
} from "./support_events";

export interface Verifying {
  check: string;
  title: Bilingual;
  status: ShownStatus;
  because: string;
}

export type Item = { key: number } & (
  | { kind: "heard"; text: string; lines: number; label: Bilingual | null; choice: string | null; isOwnLog: boolean; cited: CitedLine[] }
  | { kind: "say"; about: string; text: string }
  | { kind: "checks"; checks: CheckSeen[] }
  | { kind: "diagnosis"; fault: FaultFound; summary: Bilingual; isSeen: boolean; n: number }
  | { kind: "ask"; question: Question; chosen: string | null }
  | { kind: "remedy"; offer: RemedyOffer; isTaken: boolean }
  | { kind: "treated"; outcome: Treated }
  | { kind: "verify"; checks: Verifying[] }
  | { kind: "handover"; bundle: string; summary: Bilingual }
  | { kind: "end"; state: CaseState; verifiedBy: string; fault: string }
  | { kind: "error"; code: string; title: string; cause: string; fix: string; requestId: string }
);

export interface CaseView {
  id: string | null;
  state: CaseState | null;
  isSaved: boolean;
  items: readonly Item[];
  next: number; // the number of the event that is awaited
}

export const NO_CASE: CaseView = { id: null, state: null, isSaved: true, items: [], next: 0 };

type ItemOf<K extends Item["kind"]> = Extract<Item, { kind: K }>;

export function withEvent(view: CaseView, event: SupportEvent): CaseView {
  if (event.seq < view.next) return view;
  return { ...view, ...changes(view, event), next: event.seq + 1 };
}

function changes(view: CaseView, event: SupportEvent): Partial<CaseView> {
  const add = (item: Omitted): Partial<CaseView> => ({ items: withItem(view.items, { ...item, key: event.seq } as Item) });
  switch (event.type) {
    case "case":
      return { id: event.case, isSaved: event.saved };
    case "heard":
      if (event.choice === "watch") return {};
      return { state: "examining", items: heard(view.items, event) };
    case "say":
      if (event.by === "template" && SHOWN_AS_CARD.has(event.key)) return {};
      if (event.key === WAITING && view.items.some((item) => item.kind === "say" && item.about === WAITING)) return {};
      return add({ kind: "say", about: event.key, text: event.text });
    case "check":
      return { items: withCheck(view.items, event) };
    case "evidence":
      return { items: withCited(view.items, event.lines) };
    case "diagnosis":
      return add({ kind: "diagnosis", fault: event.fault, summary: event.summary, isSeen: event.seen, n: event.n });
    case "ask":
      if (view.items.some((item) => isOutcome(item) && item.question.question === event.question)) return {};
      return add({ kind: "ask", question: event, chosen: null });
    case "remedy":
      return add({ kind: "remedy", offer: event, isTaken: false });
    case "treated":
      return add({ kind: "treated", outcome: event });
    case "verify":
      return { items: withVerified(view.items, event) };
    case "handover":
      return add({ kind: "handover", bundle: event.bundle, summary: event.summary });
    case "done": {
      const { state } = event;
      if (!isEnd(state)) return { state };
      return { state, ...add({ kind: "end", state, verifiedBy: event.verified_by, fault: event.fault }) };
    }
    case "error": {
      const { code, title, cause, fix, request_id: requestId } = event;
      return { state: null, ...add({ kind: "error", code, title, cause, fix, requestId }) };
    }
    default:
      return {}; // a kind of a newer server
  }
}

const SHOWN_AS_CARD = new Set(["diagnosis", "likely"]); // the same words as the card above them
const WAITING = "waiting"; // what each look at a person's repair begins with

/** The question whether it works now, while it is open: it stays last. */
function isOutcome(item: Item | undefined): item is ItemOf<"ask"> {
  return item?.kind === "ask" && item.question.question === "outcome" && item.chosen === null;
}

function withItem(items: readonly Item[], item: Item): readonly Item[] {
  const last = items.at(-1);
  return isOutcome(last) && item.kind !== "end" ? [...items.slice(0, -1), item, last] : [...items, item];
}

type Omitted = Item extends infer T ? (T extends Item ? Omit<T, "key"> : never) : never;

export function isEnd(state: CaseState | null): boolean {
  return state === "fixed" || state === "no_fault" || state === "handed_over";
}

/** What was pressed is marked where it was pressed; what was written is a message of its own. */
function heard(items: readonly Item[], event: SupportEvent & { type: "heard" }): readonly Item[] {
  const { choice, consent, text, lines } = event;
  const open = items.findLast((item) => item.kind === "ask" || item.kind === "remedy");
  const marked = items.map((item) => (item === open ? markedBy(open, choice, consent) : item));
  const label = open?.kind === "ask" ? labelOf(open.question, choice) : null;
  if (!text && !choice) return marked; // a press, which is marked where it was
  return [...marked, { kind: "heard", key: event.seq, text, lines, label, choice, isOwnLog: event.own_log ?? false, cited: [] }];
}

function markedBy(open: ItemOf<"ask" | "remedy">, choice: string | null, consent: string | null): Item {
  if (open.kind === "ask") return { ...open, chosen: choice ?? "" };
  return { ...open, isTaken: open.isTaken || consent === open.offer.remedy };
}

function labelOf(question: Question, choice: string | null): Bilingual | null {
  return question.choices.find(({ id }) => id === choice)?.label ?? null;
}

/** Checks of one look are one chain; a check that was running is replaced by what it found. */
function withCheck(items: readonly Item[], event: SupportEvent & { type: "check" }): readonly Item[] {
  const last = items.at(-1);
  if (last?.kind !== "checks") return [...items, { kind: "checks", key: event.seq, checks: [event] }];
  return [...items.slice(0, -1), { ...last, checks: replaced(last.checks, event) }];
}

/** While a person does something, checks are looked at again: shown once, as they are now. */
function withVerified(items: readonly Item[], event: SupportEvent & { type: "verify" }): readonly Item[] {
  const at = items.findLastIndex((item) => item.kind === "verify");
  const known = items[at];
  const { check, title, status, because } = event;
  const seen = { check, title, status, because };
  const isOld = items.slice(at + 1).some((item) => item.kind !== "say" && item.kind !== "end" && !isOutcome(item));
  if (known?.kind !== "verify" || isOld) return withItem(items, { kind: "verify", key: event.seq, checks: [seen] });
  return items.with(at, { ...known, checks: replaced(known.checks, seen) });
}

function replaced<T extends { check: string; status: ShownStatus }>(all: T[], one: T): T[] {
  const at = all.findIndex(({ check }) => check === one.check);
  if (at < 0) return [...all, one];
  // a look that begins hides nothing that is known
  return one.status === "running" && all[at]?.status !== "running" ? all : all.with(at, one);
}

/** Each line where it was pasted; the server shortens long texts, then the line stands under the message. */
function withCited(items: readonly Item[], lines: CitedLine[]): readonly Item[] {
  const texts = items.filter((item) => item.kind === "heard" && item.text !== "") as ItemOf<"heard">[];
  const homeOf = (line: CitedLine): Item | undefined =>
    texts.findLast(({ text }) => isIn(text, line)) ?? texts[line.part] ?? texts.at(-1);
  return items.map((item) => {
    const mine = item.kind === "heard" ? lines.filter((line) => homeOf(line) === item) : [];
    return item.kind === "heard" && mine.length > 0 ? { ...item, cited: [...item.cited, ...mine] } : item;
  });
}

function isIn(text: string, line: CitedLine): boolean {
  return text.split("\n")[line.line_in_part - 1]?.includes(line.text.trim().slice(0, 80)) ?? false;
}

/** What the person may press now: the last question or remedy of a turn that has ended. */
export function openItem({ state, items }: CaseView): ItemOf<"ask" | "remedy"> | undefined {
  if (state !== "asking" && state !== "awaiting_consent" && state !== "watching") return undefined;
  return items.findLast((item) => item.kind === "ask" || item.kind === "remedy") as ItemOf<"ask" | "remedy"> | undefined;
}

export type { ItemOf };
