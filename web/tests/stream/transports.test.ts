import { afterEach, expect, test, vi } from "vitest";
import { Refused } from "../../src/ask";
import { ProtocolError, type StreamEvent } from "../../src/stream/events";
import { transports, type Start } from "../../src/stream/transports";

const BODY = { messages: [{ role: "user" as const, content: "hi" }] };
const DELTA: StreamEvent = { seq: 1, type: "delta", text: "a" };
const signal = new AbortController().signal;

afterEach(() => vi.unstubAllGlobals());

function answerWith(...responses: Response[]): ReturnType<typeof vi.fn> {
  const fetch = vi.fn(async () => responses.shift());
  vi.stubGlobal("fetch", fetch);
  return fetch;
}

async function collect(name: "sse" | "poll", start: Start): Promise<(StreamEvent | null)[]> {
  const events: (StreamEvent | null)[] = [];
  for await (const event of transports[name](start, signal)) events.push(event);
  return events;
}

test("SSE reads the events of a response", async () => {
  answerWith(new Response(`: ping\n\ndata: ${JSON.stringify(DELTA)}\n\n`));
  expect(await collect("sse", { body: BODY })).toEqual([DELTA]);
});

test("SSE resumes a known answer from a number on", async () => {
  const fetch = answerWith(new Response(""));
  await collect("sse", { stream: "s/1", from: 7 });
  expect(fetch.mock.calls[0]).toMatchObject([
    "/api/streams/s%2F1?from=7",
    { headers: { accept: "text/event-stream" } },
  ]);
});

test("long-polling asks on until the answer has ended", async () => {
  const fetch = answerWith(
    Response.json({ stream: "s1" }),
    Response.json({ events: [], ended: false }),
    Response.json({ events: [DELTA], ended: true }),
  );
  expect(await collect("poll", { body: BODY })).toEqual([null, DELTA]);
  expect(fetch.mock.calls.map(([url]) => url)).toEqual([
    "/api/streams",
    "/api/streams/s1?from=0",
    "/api/streams/s1?from=0",
  ]);
});

test("a problem document is a refusal with its cause and fix", async () => {
  const problem = {
    type: "/faults/request-queueing",
    title: "Request queueing",
    detail: "72 answers running",
    fix: "retry",
    request_id: "r1",
  };
  answerWith(Response.json(problem, { status: 429 }));
  await expect(collect("sse", { body: BODY })).rejects.toMatchObject({
    reason: { code: "request-queueing", cause: "72 answers running", fix: "retry", request_id: "r1" },
  });
});

test("a proxy's own refusal is named by its status", async () => {
  answerWith(new Response("too large", { status: 413 }));
  await expect(collect("sse", { body: BODY })).rejects.toMatchObject({
    reason: { code: "proxy-body-too-large" },
  });
});

test("a bad gateway may be over soon", async () => {
  const headers = { "content-type": "text/html" };
  answerWith(new Response("<html>502</html>", { status: 502, headers }));
  await expect(collect("sse", { body: BODY })).rejects.not.toBeInstanceOf(Refused);
});

test("a page instead of events is named", async () => {
  answerWith(new Response("<html>", { headers: { "content-type": "text/html" } }));
  await expect(collect("sse", { body: BODY })).rejects.toBeInstanceOf(ProtocolError);
});
