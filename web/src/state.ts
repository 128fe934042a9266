/**
 * Everything the page shows, as data: conversations, their turns, and how far an answer is.
 *
 * One pure reducer. Turns that nothing happened to keep their identity, so that React redraws only
 * the answer being written. Knows nothing of the network, of storage or of time.
 */

import type { Failure, Notice, Reason, StreamEvent, Timings, Usage } from "./stream/events";

export type Stage =
  | { name: "connecting" }
  | { name: "queued"; position: number; wait_s: number | null }
  | { name: "loading"; progress: number }
  | { name: "reading"; done: number; total: number; cached: number };

export type Progress =
  | { name: "waiting"; stage: Stage }
  | { name: "writing" }
  | { name: "done"; reason: Reason | "interrupted"; usage: Usage | null; timings: Timings | null }
  | { name: "failed"; failure: Failure };

export interface Question {
  id: string;
  role: "user";
  content: string;
}

export interface Answer {
  id: string;
  role: "assistant";
  content: string;
  progress: Progress;
  notices: readonly Notice[];
}

export type Turn = Question | Answer;

export interface Conversation {
  id: string;
  title: string;
  updatedAt: number; // ms since 1970
  turns: readonly Turn[];
}

export interface State {
  conversations: readonly Conversation[]; // newest first
  currentId: string | null; // null: a conversation not yet begun
}

export type Action =
  | { type: "loaded"; conversations: readonly Conversation[] }
  | { type: "opened"; id: string | null }
  | { type: "renamed"; id: string; title: string }
  | { type: "deleted"; id: string }
  | { type: "restored"; conversation: Conversation }
  | { type: "asked"; conversationId: string; question: Question; answerId: string; at: number }
  | { type: "asked again"; conversationId: string; answerId: string; at: number }
  | { type: "received"; conversationId: string; answerId: string; events: readonly StreamEvent[]; at: number };

export const EMPTY: State = { conversations: [], currentId: null };

const TITLE_LENGTH = 60;

export function reduce(state: State, action: Action): State {
  switch (action.type) {
    case "loaded":
      return { ...state, conversations: sorted(action.conversations.map(settle)) };
    case "opened":
      return { ...state, currentId: action.id };
    case "renamed":
      return change(state, action.id, (it) => ({ ...it, title: action.title }));
    case "deleted":
      return {
        conversations: state.conversations.filter((it) => it.id !== action.id),
        currentId: state.currentId === action.id ? null : state.currentId,
      };
    case "restored":
      return { ...state, conversations: sorted([...state.conversations, action.conversation]) };
    case "asked":
      return ask(state, action);
    case "asked again":
      return change(state, action.conversationId, (it) => ({
        ...it,
        updatedAt: action.at,
        turns: [...historyBefore(it, action.answerId), blankAnswer(action.answerId)],
      }));
    case "received":
      return change(state, action.conversationId, (it) => ({
        ...it,
        updatedAt: action.at,
        turns: it.turns.map((turn) =>
          turn.id === action.answerId && turn.role === "assistant"
            ? action.events.reduce(receive, turn)
            : turn,
        ),
      }));
  }
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
      const { code, title, cause, fix, request_id } = event;
      return { ...answer, progress: { name: "failed", failure: { code, title, cause, fix, request_id } } };
    }
  }
}

export function isRunning(turn: Turn | undefined): turn is Answer {
  return turn?.role === "assistant" && ["waiting", "writing"].includes(turn.progress.name);
}

export function currentConversation(state: State): Conversation | undefined {
  return state.conversations.find((it) => it.id === state.currentId);
}

/** The turns that an answer answers. */
export function historyBefore(conversation: Conversation, answerId: string): readonly Turn[] {
  const at = conversation.turns.findIndex((turn) => turn.id === answerId);
  return at < 0 ? conversation.turns : conversation.turns.slice(0, at);
}

/** What is sent to the model: answers that never came are left out. */
export function toMessages(turns: readonly Turn[]): { role: Turn["role"]; content: string }[] {
  return turns.filter(({ content }) => content !== "").map(({ role, content }) => ({ role, content }));
}

function ask(state: State, action: Extract<Action, { type: "asked" }>): State {
  const { conversationId, question, answerId, at } = action;
  const known = state.conversations.find((it) => it.id === conversationId);
  const base = known ?? { id: conversationId, title: titleOf(question.content), turns: [] };
  const turns = [...base.turns, question, blankAnswer(answerId)];
  const others = state.conversations.filter((it) => it !== known);
  return {
    conversations: [{ ...base, updatedAt: at, turns }, ...others],
    currentId: conversationId,
  };
}

function blankAnswer(id: string): Answer {
  const progress: Progress = { name: "waiting", stage: { name: "connecting" } };
  return { id, role: "assistant", content: "", progress, notices: [] };
}

function titleOf(content: string): string {
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

function sorted(conversations: readonly Conversation[]): readonly Conversation[] {
  return conversations.toSorted((a, b) => b.updatedAt - a.updatedAt);
}

function change(state: State, id: string, edit: (it: Conversation) => Conversation): State {
  return {
    ...state,
    conversations: state.conversations.map((it) => (it.id === id ? edit(it) : it)),
  };
}
