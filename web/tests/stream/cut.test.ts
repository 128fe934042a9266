import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { StreamEvent } from "../../src/stream/events";
import { readSse } from "../../src/stream/sse";
import { streamAnswer } from "../../src/stream/stream";
import type { Start, Transport } from "../../src/stream/transports";

const USAGE = { prompt_tokens: 1, cached_tokens: 0, completion_tokens: 1 };
const TIMINGS = { queue_ms: 0, prefill_ms: 0, ttft_ms: 0, tok_s: 1 };

/** Any answer: its stages, its words in any language, its end. */
const answers = fc.array(fc.string({ unit: "grapheme" }), { maxLength: 12 }).map((texts): StreamEvent[] => {
  const deltas = texts.map((text, at): StreamEvent => ({ seq: at + 1, type: "delta", text }));
  return [
    { seq: 0, type: "queued", position: 0, wait_s: null, stream: "s" },
    ...deltas,
    { seq: texts.length + 1, type: "done", reason: "stop", usage: USAGE, timings: TIMINGS },
  ];
});

/** Bytes in pieces of these sizes, over and over. */
async function* cut(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let [at, n] = [0, 0]; at < bytes.length; n++) {
    const size = sizes[n % sizes.length] ?? 1;
    yield bytes.slice(at, at + size);
    at += size;
  }
}

/** A server over SSE whose connections break after so many bytes each, wherever that is. */
function breaking(events: readonly StreamEvent[], lifetimes: number[], sizes: readonly number[]): Transport {
  return async function* transport(start: Start) {
    const from = "from" in start ? start.from : 0;
    const text = events.slice(from).map((it) => `id: ${it.seq}\ndata: ${JSON.stringify(it)}\n\n`);
    const bytes = new TextEncoder().encode(text.join(""));
    for await (const data of readSse(cut(bytes.slice(0, lifetimes.shift() ?? bytes.length), sizes))) {
      yield data === null ? null : (JSON.parse(data) as StreamEvent);
    }
  };
}

test("wherever connections break, every event arrives once and in order", async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(answers, fc.array(fc.nat(300), { maxLength: 5 }), sizes, async (events, lifetimes, pieces) => {
      const transport = breaking(events, lifetimes, pieces);
      const seen: StreamEvent[] = [];
      const options = {
        signal: new AbortController().signal,
        backoffMs: 0,
        order: ["sse"] as const,
        transports: { websocket: transport, sse: transport, poll: transport },
      };
      // before the stream has a name, as many attempts as there are transports are made
      const [first = 1_000] = lifetimes;
      fc.pre(first > 120);
      for await (const event of streamAnswer({ messages: [{ role: "user", content: "hi" }] }, options)) seen.push(event);
      expect(seen).toEqual(events);
    }),
    { numRuns: 60 },
  );
});
