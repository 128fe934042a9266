import { expect, test } from "vitest";
import { shownTurns } from "../src/branches";
import {
  canContinue,
  EMPTY,
  historyOf,
  isRunning,
  reduce,
  toMessages,
  type Action,
  type Answer,
  type Question,
  type State,
  type Turn,
} from "../src/state";
import { failure, type StreamEvent } from "../src/stream/events";
import { NO_SETTINGS } from "../src/settings";

const USAGE = { prompt_tokens: 5, cached_tokens: 0, completion_tokens: 2 };
const TIMINGS = { queue_ms: 0, prefill_ms: 1, ttft_ms: 2, tok_s: 50 };
const DONE: StreamEvent = { seq: 9, type: "done", reason: "stop", usage: USAGE, timings: TIMINGS };

function play(...actions: Action[]): State {
  return actions.reduce(reduce, EMPTY);
}

function asked(content: string, n = 1): Action {
  const parent = n > 1 ? `a${n - 1}` : null;
  const question: Question = { id: `q${n}`, parent, role: "user", content };
  return { type: "asked", conversationId: "c", question, answerId: `a${n}`, at: n };
}

/** The same question once more, for an answer of this id. */
function askedAgain(state: State, questionId: string, answerId: string): State {
  const question = state.conversations[0]?.turns.find(({ id }) => id === questionId) as Question;
  return reduce(state, { type: "asked", conversationId: "c", question, answerId, at: 10 });
}

function shown(state: State): string[] {
  const [conversation] = state.conversations;
  return conversation ? shownTurns(conversation).map(({ id }) => id) : [];
}

function received(answerId: string, ...events: StreamEvent[]): Action {
  return { type: "received", conversationId: "c", answerId, events, at: 9 };
}

function lastAnswer(state: State): Answer {
  return state.conversations[0]?.turns.at(-1) as Answer;
}

const delta = (text: string): StreamEvent => ({ seq: 1, type: "delta", text });

test("a question begins a conversation, names it and waits for its answer", () => {
  const state = play(asked("What is a cache?\nBriefly."));
  expect(state.currentId).toBe("c");
  expect(state.conversations[0]?.title).toBe("What is a cache?");
  expect(lastAnswer(state).progress).toEqual({ name: "waiting", stage: { name: "connecting" } });
});

test("a long title is cut between characters", () => {
  expect(play(asked("🙂".repeat(80))).conversations[0]?.title).toBe(`${"🙂".repeat(60)}…`);
});

test("stages, text and the end follow one another", () => {
  const reading: StreamEvent = { seq: 1, type: "prefill", done: 1, total: 2, cached: 0 };
  let state = play(asked("hi"), received("a1", reading));
  expect(lastAnswer(state).progress).toMatchObject({ name: "waiting", stage: { name: "reading", done: 1 } });
  state = reduce(state, received("a1", delta("a"), delta("b")));
  expect(lastAnswer(state)).toMatchObject({ content: "ab", progress: { name: "writing" } });
  state = reduce(state, received("a1", DONE));
  expect(lastAnswer(state).progress).toEqual({ name: "done", reason: "stop", usage: USAGE, timings: TIMINGS });
});

test("nothing changes an answer that has ended", () => {
  const ended = play(asked("hi"), received("a1", delta("a"), DONE));
  expect(lastAnswer(reduce(ended, received("a1", delta("late")))).content).toBe("a");
});

test("turns that nothing happened to keep their identity", () => {
  const before = play(asked("one"), received("a1", delta("x"), DONE), asked("two", 2));
  const after = reduce(before, received("a2", delta("y")));
  const [old, now] = [before.conversations[0]?.turns ?? [], after.conversations[0]?.turns ?? []];
  expect(now.slice(0, 3).every((turn, index) => turn === old[index])).toBe(true);
  expect(now[3]).not.toBe(old[3]);
});

test("a failure is kept with its cause and fix", () => {
  const error: StreamEvent = {
    seq: 1,
    type: "error",
    code: "worker-crashed",
    title: "t",
    cause: "c",
    fix: "f",
    request_id: "r",
  };
  const state = play(asked("hi"), received("a1", error));
  expect(lastAnswer(state).progress).toEqual({
    name: "failed",
    failure: { code: "worker-crashed", title: "t", cause: "c", fix: "f", request_id: "r" },
  });
});

test("asking again shows a new answer and keeps the old one with what came after", () => {
  const before = play(
    asked("one"),
    received("a1", delta("x"), DONE),
    asked("two", 2),
    received("a2", delta("y"), DONE),
  );
  const state = askedAgain(before, "q1", "b1");
  expect(shown(state)).toEqual(["q1", "b1"]);
  expect(isRunning(lastAnswer(state))).toBe(true);
  const back = reduce(state, { type: "showed", id: "c", turnId: "a1" });
  expect(shown(back)).toEqual(["q1", "a1", "q2", "a2"]);
});

test("the history sent leaves out answers that never came", () => {
  const state = play(asked("one"), received("a1", DONE), asked("two", 2));
  const turns = state.conversations[0]?.turns ?? [];
  expect(toMessages(historyOf(turns, turns[2] as Question))).toEqual([
    { role: "user", content: "one" },
    { role: "user", content: "two" },
  ]);
});

test("an answer that was being written when the page closed is over", () => {
  const { conversations } = play(asked("hi"), received("a1", delta("half")));
  const state = play({ type: "loaded", conversations });
  expect(lastAnswer(state)).toMatchObject({ content: "half", progress: { name: "done", reason: "interrupted" } });
});

test("a deleted conversation can be brought back", () => {
  const before = play(asked("hi"));
  const [conversation] = before.conversations;
  const deleted = reduce(before, { type: "deleted", ids: ["c"] });
  expect(deleted).toEqual(EMPTY);
  if (!conversation) throw new Error("no conversation");
  expect(reduce(deleted, { type: "restored", conversation }).conversations).toEqual([conversation]);
});

const SUMMARY = { id: "c", title: "hi", updatedAt: 50, shown: "a1", settings: NO_SETTINGS };
const TURNS: Turn[] = [
  { id: "q1", parent: null, role: "user", content: "hi" },
  {
    id: "a1",
    parent: "q1",
    role: "assistant",
    content: "hello",
    progress: { name: "done", reason: "stop", usage: null, timings: null },
    notices: [],
  },
];

test("what the server lists is there at once, and its turns when they are fetched", () => {
  const listed = play({ type: "listed", summaries: [SUMMARY] });
  expect(listed.conversations[0]).toMatchObject({ title: "hi", isWhole: false, turns: [] });
  expect(canContinue(listed.conversations[0])).toBe(false);
  const fetched = reduce(listed, { type: "fetched", id: "c", turns: TURNS });
  expect(shown(fetched)).toEqual(["q1", "a1"]);
  expect(canContinue(fetched.conversations[0])).toBe(true);
});

test("what changed on the server is fetched again, the copy stays until then", () => {
  const known = play({ type: "listed", summaries: [SUMMARY] }, { type: "fetched", id: "c", turns: TURNS });
  expect(reduce(known, { type: "listed", summaries: [SUMMARY] }).conversations[0]?.isWhole).toBe(true);
  const changed = reduce(known, { type: "listed", summaries: [{ ...SUMMARY, updatedAt: 51 }] });
  expect(changed.conversations[0]).toMatchObject({ isWhole: false, turns: TURNS });
});

test("a list does not touch an answer that is being written, or what is not saved", () => {
  const running = play(asked("hi"));
  expect(reduce(running, { type: "listed", summaries: [SUMMARY] }).conversations).toEqual(running.conversations);
  const notice: StreamEvent = { seq: 1, type: "notice", code: "disk-full", detail: { saved: false } };
  const unsaved = play(asked("hi"), received("a1", notice, DONE));
  expect(unsaved.conversations[0]?.isUnsaved).toBe(true);
  expect(reduce(unsaved, { type: "listed", summaries: [SUMMARY] }).conversations).toEqual(unsaved.conversations);
  const saved = reduce(unsaved, { type: "saved", ids: ["c"] });
  expect(saved.conversations[0]?.isUnsaved).toBe(false);
  const answers = saved.conversations[0]?.turns.filter((it) => it.role === "assistant");
  expect(answers?.map((it) => it.notices)).toEqual([[]]); // it no longer says that it is not saved
});

test("fetching keeps turns that only this page knows", () => {
  const known = play(asked("hi"), received("a1", DONE), asked("more", 2), received("a2", DONE));
  const fetched = reduce(known, { type: "fetched", id: "c", turns: TURNS });
  expect(shown(fetched)).toEqual(["q1", "a1", "q2", "a2"]);
});

test("a hit in the middle of a branch shows the branch to its end", () => {
  const state = play(
    { type: "listed", summaries: [SUMMARY] },
    { type: "opened", id: "c" },
    { type: "showed", id: "c", turnId: "q1" },
    { type: "fetched", id: "c", turns: TURNS },
  );
  expect(shown(state)).toEqual(["q1", "a1"]);
});

test("an answer that was lost with the connection is fetched again", () => {
  const lost: StreamEvent = { seq: 2, type: "error", ...failure("backend-not-listening") };
  const state = play(asked("hi"), received("a1", delta("half"), lost));
  expect(reduce(state, { type: "reachable" }).conversations[0]?.isWhole).toBe(false);
  const well = play(asked("hi"), received("a1", delta("all"), DONE));
  expect(reduce(well, { type: "reachable" }).conversations).toEqual(well.conversations);
});

test("a conversation keeps what it was begun with, and what it is told later", () => {
  const settings = { ...NO_SETTINGS, system: "Be brief." };
  const first = { ...asked("one"), settings } as Action;
  const other = { ...NO_SETTINGS, max_tokens: 5 };
  expect(play(first).conversations[0]?.settings).toEqual(settings);
  expect(play(first, { type: "tuned", id: "c", settings: other }).conversations[0]?.settings).toEqual(other);
});

test("a failure that asks for patience keeps how long", () => {
  const error: StreamEvent = { seq: 1, type: "error", ...failure("request-queueing", { retry_after_s: 4 }) };
  expect(lastAnswer(play(asked("hi"), received("a1", error))).progress).toMatchObject({
    failure: { code: "request-queueing", retry_after_s: 4 },
  });
});
