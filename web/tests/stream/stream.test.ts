import { expect, test, vi } from "vitest";
import { Refused } from "../../src/ask";
import { failure, ProtocolError, type StreamEvent } from "../../src/stream/events";
import { streamAnswer, type StreamOptions } from "../../src/stream/stream";
import type { Start, Transport, TransportName } from "../../src/stream/transports";

const BODY = { messages: [{ role: "user" as const, content: "hi" }] };
const USAGE = { prompt_tokens: 1, cached_tokens: 0, completion_tokens: 1 };
const TIMINGS = { queue_ms: 0, prefill_ms: 0, ttft_ms: 0, tok_s: 1 };

const EVENTS: StreamEvent[] = [
  { seq: 0, type: "queued", position: 0, wait_s: null, stream: "s1" },
  { seq: 1, type: "delta", text: "a" },
  { seq: 2, type: "delta", text: "b" },
  { seq: 3, type: "done", reason: "stop", usage: USAGE, timings: TIMINGS },
];

/** Plays events from the asked number on, as many as the next length says, then breaks off. */
function server(...lengths: number[]): { transport: Transport; starts: Start[] } {
  const starts: Start[] = [];
  async function* transport(start: Start): AsyncGenerator<StreamEvent | null, void, undefined> {
    starts.push(start);
    const from = "from" in start ? start.from : 0;
    yield* EVENTS.slice(from, from + (lengths.shift() ?? EVENTS.length));
  }
  return { transport, starts };
}

async function* broken(): AsyncGenerator<StreamEvent | null, void, undefined> {
  yield* [];
  throw new Error("connection refused");
}

async function* silent(_: Start, signal: AbortSignal): AsyncGenerator<StreamEvent | null, void, undefined> {
  yield* [];
  await new Promise((resolve) => {
    signal.addEventListener("abort", resolve);
  });
}

async function collect(
  transports: Partial<Record<TransportName, Transport>>,
  options: Partial<StreamOptions> = {},
): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  const all = { websocket: broken, sse: broken, poll: broken, ...transports };
  const defaults = { signal: new AbortController().signal, backoffMs: 1, transports: all };
  for await (const event of streamAnswer(BODY, { ...defaults, ...options })) events.push(event);
  return events;
}

test("passes a whole answer on", async () => {
  const { transport, starts } = server();
  expect(await collect({ websocket: transport })).toEqual(EVENTS);
  expect(starts).toEqual([{ body: BODY }]);
});

test("resumes where the connection broke, over the same transport", async () => {
  const { transport, starts } = server(2, 1);
  expect(await collect({ websocket: transport })).toEqual(EVENTS);
  expect(starts.slice(1)).toEqual([
    { stream: "s1", from: 2 },
    { stream: "s1", from: 3 },
  ]);
});

test("falls back to the next transport and says which one works", async () => {
  const onTransport = vi.fn();
  const { transport } = server();
  expect(await collect({ poll: transport }, { onTransport })).toEqual(EVENTS);
  expect(onTransport.mock.calls).toEqual([["poll"]]);
});

test("resumes over another transport when the first does not come back", async () => {
  const first = server(2, 0, 0);
  const second = server();
  expect(await collect({ websocket: first.transport, sse: second.transport })).toEqual(EVENTS);
  expect(second.starts).toEqual([{ stream: "s1", from: 2 }]);
});

test("drops events that it has seen", async () => {
  const again: Transport = async function* again() {
    yield* EVENTS.slice(0, 2);
    yield* EVENTS;
  };
  expect(await collect({ websocket: again })).toEqual(EVENTS);
});

test("leaves a silent connection", async () => {
  const { transport } = server();
  expect(await collect({ websocket: silent, sse: transport }, { silenceMs: 5 })).toEqual(EVENTS);
});

test("waits less for the first event, which something on the way may be collecting", async () => {
  const { transport, starts } = server(1, 3);
  async function* late(start: Start): AsyncGenerator<StreamEvent | null, void, undefined> {
    for await (const event of transport(start, new AbortController().signal)) {
      yield event;
      await new Promise((resolve) => setTimeout(resolve, 30)); // longer than a first event may take
    }
  }
  expect(await collect({ websocket: silent, sse: late }, { firstMs: 10 })).toEqual(EVENTS);
  expect(starts).toEqual([{ body: BODY }, { stream: "s1", from: 1 }]);
});

test("ends with one error when nothing can be reached", async () => {
  expect(await collect({})).toEqual([{ seq: 0, type: "error", ...failure("backend-not-listening") }]);
});

test("says so when something else answers", async () => {
  const page: Transport = async function* page() {
    yield* [];
    throw new ProtocolError("<html>");
  };
  const events = await collect({ websocket: page, sse: page, poll: page });
  expect(events).toEqual([{ seq: 0, type: "error", ...failure("api-returns-html") }]);
});

test("does not try again what the server refused", async () => {
  const refused = failure("context-overflow", { cause: "too long" });
  const refusing: Transport = async function* refusing() {
    yield* [];
    throw new Refused(refused);
  };
  expect(await collect({ websocket: refusing })).toEqual([{ seq: 0, type: "error", ...refused }]);
});

test("a refused resume ends the answer although it is numbered from 0", async () => {
  const gone: StreamEvent = { seq: 0, type: "error", ...failure("stream-unknown") };
  const forgetful: Transport = async function* forgetful(start) {
    yield* "body" in start ? EVENTS.slice(0, 2) : [gone];
  };
  expect(await collect({ websocket: forgetful })).toEqual([...EVENTS.slice(0, 2), gone]);
});

test("stopping asks the server and passes its last event on", async () => {
  const abort = new AbortController();
  const cancelled: StreamEvent = { seq: 2, type: "done", reason: "cancelled", usage: USAGE, timings: TIMINGS };
  let release = (): void => undefined;
  const stopped = new Promise<void>((resolve) => {
    release = resolve;
  });
  const running: Transport = async function* running() {
    yield* EVENTS.slice(0, 2);
    abort.abort();
    await stopped;
    yield cancelled;
  };
  const stop = vi.fn(async () => release());
  expect(await collect({ websocket: running }, { signal: abort.signal, stop })).toEqual([
    ...EVENTS.slice(0, 2),
    cancelled,
  ]);
  expect(stop.mock.calls).toEqual([["s1"]]);
});

test("stopping ends the answer even if the server says nothing", async () => {
  vi.useFakeTimers();
  const abort = new AbortController();
  const events = collect({ websocket: silent }, { signal: abort.signal, stop: async () => undefined });
  abort.abort();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(await events).toMatchObject([{ type: "done", reason: "cancelled" }]);
  vi.useRealTimers();
});
