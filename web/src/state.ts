/**
 * Everything the page shows, as data: conversations, their turns, and how far an answer is.
 *
 * One pure reducer. Turns that nothing happened to keep their identity, so that React redraws only
 * the answer being written. Knows nothing of the network, of storage or of time.
 */

import { branchTo, leafBelow, shownTurns } from "./branches";
import { NO_SETTINGS, type AnswerSettings } from "./settings";
import { isTerminal, type Failure, type Notice, type Reason, type StreamEvent, type Timings, type Usage } from "./stream/events";

export type Stage =
  | { name: "connecting" }
  | { name: "queued"; position: number; wait_s: number | null }
  | { name: "loading"; progress: number }
  | { name: "reading"; done: number; total: number; cached: number };

/** interrupted: the page was closed; server-stopped: its process ended. Nobody was there to end the answer. */
export type Ending = Reason | "interrupted" | "server-stopped";

export type Progress =
  | { name: "waiting"; stage: Stage }
  | { name: "writing" }
  | { name: "done"; reason: Ending; usage: Usage | null; timings: Timings | null }
  | { name: "failed"; failure: Failure };

export interface Question {
  id: string;
  parent: string | null; // the answer that it follows
  role: "user";
  content: string;
}

export interface Answer {
  id: string;
  parent: string | null; // the question that it answers
  role: "assistant";
  content: string;
  progress: Progress;
  notices: readonly Notice[];
}

export type Turn = Question | Answer;

/** What a list shows of a conversation. */
export interface Summary {
  id: string;
  title: string;
  updatedAt: number; // ms since 1970
  shown: string | null; // the last turn of the branch that is shown
  settings: AnswerSettings; // what its answers are asked with
}

export interface Conversation extends Summary {
  turns: readonly Turn[]; // of all branches, each after its parent
  isWhole: boolean; // false: the newest turns are on the server only
  isUnsaved: boolean; // the server misses something of it
}

export interface State {
  conversations: readonly Conversation[]; // newest first
  currentId: string | null; // null: a conversation not yet begun
}

export type Action =
  | { type: "loaded"; conversations: readonly Conversation[] }
  | { type: "listed"; summaries: readonly Summary[] }
  | { type: "fetched"; id: string; turns: readonly Turn[] }
  | { type: "saved"; ids: readonly string[] }
  | { type: "opened"; id: string | null }
  | { type: "renamed"; id: string; title: string }
  | { type: "tuned"; id: string; settings: AnswerSettings }
  | { type: "reachable" } // again, after answers were lost
  | { type: "deleted"; ids: readonly string[] }
  | { type: "restored"; conversation: Conversation }
  | { type: "showed"; id: string; turnId: string }
  | { type: "asked"; conversationId: string; question: Question; answerId: string; settings?: AnswerSettings; at: number }
  | { type: "received"; conversationId: string; answerId: string; events: readonly StreamEvent[]; at: number };

export const EMPTY: State = { conversations: [], currentId: null };

const TITLE_LENGTH = 60;

export function reduce(state: State, action: Action): State {
  switch (action.type) {
    case "loaded":
      return { ...state, conversations: sorted(action.conversations.map(settle)) };
    case "listed":
      return { ...state, conversations: merge(state.conversations, action.summaries) };
    case "fetched":
      return change(state, action.id, (it) =>
        it.turns.some(isRunning) ? it : whole(it, union(action.turns, it.turns)),
      );
    case "saved":
      return {
        ...state,
        conversations: state.conversations.map((it) =>
          it.isUnsaved && action.ids.includes(it.id)
            ? { ...it, isUnsaved: false, turns: it.turns.map(nowSaved) }
            : it,
        ),
      };
    case "opened":
      return { ...state, currentId: action.id };
    case "renamed":
      return change(state, action.id, (it) => ({ ...it, title: action.title }));
    case "tuned":
      return change(state, action.id, (it) => ({ ...it, settings: action.settings }));
    case "reachable":
      return {
        ...state,
        conversations: state.conversations.map((it) => (it.turns.some(isLost) ? { ...it, isWhole: false } : it)),
      };
    case "deleted":
      return {
        conversations: state.conversations.filter((it) => !action.ids.includes(it.id)),
        currentId: action.ids.includes(state.currentId ?? "") ? null : state.currentId,
      };
    case "restored":
      return { ...state, conversations: sorted([...state.conversations, action.conversation]) };
    case "showed":
      return change(state, action.id, (it) => ({ ...it, shown: leafBelow(it.turns, action.turnId) }));
    case "asked":
      return ask(state, action);
    case "received":
      return change(state, action.conversationId, (it) => ({
        ...it,
        updatedAt: action.events.some(isTerminal) ? action.at : it.updatedAt,
        isUnsaved: it.isUnsaved || action.events.some(mayBeUnsaved),
        turns: it.turns.map((turn) =>
          turn.id === action.answerId && turn.role === "assistant"
            ? action.events.reduce(receive, turn)
            : turn,
        ),
      }));
  }
}

function nowSaved(turn: Turn): Turn {
  return turn.role === "assistant" ? { ...turn, notices: lasting(turn.notices) } : turn;
}

/** Without what is no longer so once the answer is saved. */
export function lasting(notices: readonly Notice[]): readonly Notice[] {
  return notices.filter(({ detail }) => detail.saved !== false);
}

/** What an event makes of an answer. A settled answer no longer changes. */
export function receive(answer: Answer, event: StreamEvent): Answer {
  if (!isRunning(answer)) return answer;
  switch (event.type) {
    case "queued":
      return waiting(answer, { name: "queued", position: event.position, wait_s: event.wait_s });
    case "loading":
      return waiting(answer, { name: "loading", progress: event.progress });
    case "prefill":
      return waiting(answer, {
        name: "reading",
        done: event.done,
        total: event.total,
        cached: event.cached,
      });
    case "delta":
      return { ...answer, content: answer.content + event.text, progress: { name: "writing" } };
    case "notice":
      return { ...answer, notices: [...answer.notices, { code: event.code, detail: event.detail }] };
    case "done": {
      const { reason, usage, timings } = event;
      return { ...answer, progress: { name: "done", reason, usage, timings } };
    }
    case "error": {
      const { type: _, seq: __, stream: ___, ...reason } = event;
      return { ...answer, progress: { name: "failed", failure: reason } };
    }
  }
}

export function isRunning(turn: Turn | undefined): turn is Answer {
  return turn?.role === "assistant" && ["waiting", "writing"].includes(turn.progress.name);
}

/** The connection to it broke; the server may have gone on. */
function isLost(turn: Turn): boolean {
  return turn.role === "assistant" && turn.progress.name === "failed" && turn.progress.failure.code === LOST;
}

const LOST = "backend-not-listening";

export function currentConversation(state: State): Conversation | undefined {
  return state.conversations.find((it) => it.id === state.currentId);
}

/** The last turn that is shown; undefined in an empty conversation. */
export function lastTurn(conversation: Conversation | undefined): Turn | undefined {
  return conversation && shownTurns(conversation).at(-1);
}

/** False while the turns to go on from have not been fetched. */
export function canContinue(conversation: Conversation | undefined): boolean {
  return !conversation || conversation.shown === null || lastTurn(conversation) !== undefined;
}

/** The turns that a question follows, and the question. */
export function historyOf(turns: readonly Turn[], question: Question): readonly Turn[] {
  return [...branchTo(turns, question.parent), question];
}

/** What is sent to the model: answers that never came are left out. */
export function toMessages(turns: readonly Turn[]): { role: Turn["role"]; content: string }[] {
  return turns.filter(({ content }) => content !== "").map(({ role, content }) => ({ role, content }));
}

/** A question that is there already is asked again: its answer is one more version. */
function ask(state: State, action: Extract<Action, { type: "asked" }>): State {
  const { conversationId, question, answerId, settings = NO_SETTINGS, at } = action;
  const known = state.conversations.find((it) => it.id === conversationId);
  const base = known ?? { ...begun(conversationId, titleOf(question.content), at), settings };
  const isKnown = base.turns.some(({ id }) => id === question.id);
  const turns = [...base.turns, ...(isKnown ? [] : [question]), blankAnswer(answerId, question.id)];
  const others = state.conversations.filter((it) => it !== known);
  return {
    conversations: [{ ...base, updatedAt: at, turns, shown: answerId }, ...others],
    currentId: conversationId,
  };
}

function begun(id: string, title: string, at: number): Conversation {
  return { id, title, updatedAt: at, shown: null, settings: NO_SETTINGS, turns: [], isWhole: true, isUnsaved: false };
}

export function blankAnswer(id: string, parent: string): Answer {
  const progress: Progress = { name: "waiting", stage: { name: "connecting" } };
  return { id, parent, role: "assistant", content: "", progress, notices: [] };
}

/** What the server did not say, or said could not be saved, it may miss. Asking it costs little. */
function mayBeUnsaved(event: StreamEvent): boolean {
  if (event.type === "done") return event.reason === "cancelled";
  return event.type === "error" || (event.type === "notice" && event.detail.saved === false);
}

export function titleOf(content: string): string {
  const line = content.trim().split("\n", 1)[0] ?? "";
  const characters = [...line];
  return characters.length <= TITLE_LENGTH ? line : `${characters.slice(0, TITLE_LENGTH).join("")}…`;
}

/** A stage that arrives after the first text (a resumed stream) does not hide the text. */
function waiting(answer: Answer, stage: Stage): Answer {
  return answer.progress.name === "waiting" ? { ...answer, progress: { name: "waiting", stage } } : answer;
}

/** An answer that was being written when the page closed is over. */
function settle(conversation: Conversation): Conversation {
  if (!conversation.turns.some(isRunning)) return conversation;
  const turns = conversation.turns.map((turn): Turn => {
    if (!isRunning(turn)) return turn;
    return { ...turn, progress: { name: "done", reason: "interrupted", usage: null, timings: null } };
  });
  return { ...conversation, turns };
}

/** The server's list over what is known here. What changed there meanwhile must be fetched. */
function merge(known: readonly Conversation[], summaries: readonly Summary[]): readonly Conversation[] {
  const byId = new Map(known.map((it) => [it.id, it]));
  for (const summary of summaries) {
    const old = byId.get(summary.id);
    if (!old) {
      byId.set(summary.id, { ...summary, turns: [], isWhole: false, isUnsaved: false });
    } else if (!old.turns.some(isRunning) && !old.isUnsaved) {
      const isWhole = old.isWhole && !differs(old, summary);
      if (!isWhole || !isSame(old.settings, summary.settings)) byId.set(summary.id, { ...old, ...summary, isWhole });
    }
  }
  return sorted([...byId.values()]);
}

/** shown may have been a turn in the middle, found by a search before the turns were here. */
function whole(it: Conversation, turns: readonly Turn[]): Conversation {
  return { ...it, turns, shown: it.shown && leafBelow(turns, it.shown), isWhole: true };
}

/** What the server has, and what it misses. */
function union(stored: readonly Turn[], known: readonly Turn[]): readonly Turn[] {
  const ids = new Set(stored.map(({ id }) => id));
  return [...stored, ...known.filter(({ id }) => !ids.has(id))];
}

function differs(old: Conversation, summary: Summary): boolean {
  return old.title !== summary.title || old.updatedAt !== summary.updatedAt || old.shown !== summary.shown;
}

function isSame(a: AnswerSettings, b: AnswerSettings): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function sorted(conversations: readonly Conversation[]): readonly Conversation[] {
  return conversations.toSorted((a, b) => b.updatedAt - a.updatedAt);
}

function change(state: State, id: string, edit: (it: Conversation) => Conversation): State {
  return {
    ...state,
    conversations: state.conversations.map((it) => (it.id === id ? edit(it) : it)),
  };
}
