import { afterEach, expect, test, vi } from "vitest";
import { Refused } from "../../src/ask";
import type { SupportEvent } from "../../src/doctor/support_events";
import { follow, takeTurn } from "../../src/doctor/support_stream";

afterEach(() => vi.unstubAllGlobals());

const EVENTS = [
  { seq: 0, type: "case", case: "c1", state: "examining", turn: 1, lang: "en", saved: true },
  { seq: 1, type: "say", key: "heard", text: "Understood.", by: "template" },
  { seq: 2, type: "done", state: "asking", final: false, fault: "", verified_by: "" },
];

const frames = (events: readonly unknown[]): string => events.map((it) => `data: ${JSON.stringify(it)}\n\n`).join("");
const stream = (events: readonly unknown[]): Response =>
  new Response(`: ping\n\n${frames(events)}`, { headers: { "content-type": "text/event-stream" } });

/** Answers in turn; what was asked is kept. */
function serve(...answers: (() => Response | Promise<Response>)[]): string[] {
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (url: string, init: RequestInit = {}) => {
    asked.push(`${init.method ?? "GET"} ${url}`);
    const answer = answers.shift();
    if (!answer) throw new TypeError("Failed to fetch");
    return answer();
  });
  return asked;
}

const patience = { signal: new AbortController().signal, backoffMs: 1 };

async function all(events: AsyncIterable<SupportEvent>): Promise<number[]> {
  const seen: number[] = [];
  for await (const event of events) seen.push(event.seq);
  return seen;
}

test("a turn is read to its end", async () => {
  const asked = serve(() => stream(EVENTS));
  expect(await all(takeTurn({ text: "slow" }, patience))).toEqual([0, 1, 2]);
  expect(asked).toEqual(["POST /api/support"]);
});

test.each([1, 2])("a connection lost after %i events is taken up where it broke, and the turn is not sent again", async (n) => {
  const asked = serve(
    () => stream(EVENTS.slice(0, n)),
    () => Promise.reject(new TypeError("Failed to fetch")),
    () => stream(EVENTS.slice(n)),
  );
  expect(await all(takeTurn({ text: "slow" }, patience))).toEqual([0, 1, 2]);
  expect(asked).toEqual(["POST /api/support", `GET /api/support/c1/events?from=${n}`, `GET /api/support/c1/events?from=${n}`]);
});

test("a refusal is told, not tried again", async () => {
  const asked = serve(() => Response.json({ type: "/faults/case-busy", title: "busy" }, { status: 409 }));
  await expect(all(takeTurn({ case: "c1", text: "x" }, patience))).rejects.toThrow(Refused);
  expect(asked).toHaveLength(1);
});

test("a server that does not come back is given up", async () => {
  const asked = serve(() => stream(EVENTS.slice(0, 1)));
  await expect(all(takeTurn({ text: "x" }, { ...patience, attempts: 3 }))).rejects.toThrow("Failed to fetch");
  expect(asked).toHaveLength(4);
});

test("what was seen already is not shown twice", async () => {
  serve(() => stream(EVENTS));
  expect(await all(follow("c1", 1, patience))).toEqual([1, 2]);
});
