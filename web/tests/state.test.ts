import { expect, test } from "vitest";
import { EMPTY, isRunning, reduce, toMessages, type Action, type Answer, type State } from "../src/state";
import type { StreamEvent } from "../src/stream/events";

const USAGE = { prompt_tokens: 5, cached_tokens: 0, completion_tokens: 2 };
const TIMINGS = { queue_ms: 0, prefill_ms: 1, ttft_ms: 2, tok_s: 50 };
const DONE: StreamEvent = { seq: 9, type: "done", reason: "stop", usage: USAGE, timings: TIMINGS };

function play(...actions: Action[]): State {
  return actions.reduce(reduce, EMPTY);
}

function asked(content: string, n = 1): Action {
  const question = { id: `q${n}`, role: "user" as const, content };
  return { type: "asked", conversationId: "c", question, answerId: `a${n}`, at: n };
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

test("asking again replaces the answer and what came after", () => {
  const state = play(
    asked("one"),
    received("a1", delta("x"), DONE),
    asked("two", 2),
    received("a2", delta("y"), DONE),
    { type: "asked again", conversationId: "c", answerId: "a1", at: 10 },
  );
  expect(state.conversations[0]?.turns.map(({ id }) => id)).toEqual(["q1", "a1"]);
  expect(isRunning(lastAnswer(state))).toBe(true);
});

test("the history sent leaves out answers that never came", () => {
  const state = play(asked("one"), received("a1", DONE), asked("two", 2));
  expect(toMessages(state.conversations[0]?.turns ?? [])).toEqual([
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
  const deleted = reduce(before, { type: "deleted", id: "c" });
  expect(deleted).toEqual(EMPTY);
  if (!conversation) throw new Error("no conversation");
  expect(reduce(deleted, { type: "restored", conversation }).conversations).toEqual([conversation]);
});
