import * as fc from "fast-check";
import { expect, test } from "vitest";
import { readSse } from "../../src/stream/sse";

async function* pieces(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  let from = 0;
  for (const cut of [...cuts].toSorted((a, b) => a - b)) {
    yield bytes.slice(from, cut);
    from = cut;
  }
  yield bytes.slice(from);
}

async function read(text: string, cuts: readonly number[] = []): Promise<string[]> {
  const data: string[] = [];
  for await (const item of readSse(pieces(new TextEncoder().encode(text), cuts))) {
    if (item !== null) data.push(item);
  }
  return data;
}

const SAMPLE = ': ping\n\nid: 0\ndata: {"text":"缓存 🙂"}\n\ndata:a\r\ndata: b\r\n\r\nevent: x\rdata:  c\r\rdata: cut off';
const EVENTS = ['{"text":"缓存 🙂"}', "a\nb", " c"];

test("reads events, drops comments and what is not finished", async () => {
  expect(await read(SAMPLE)).toEqual(EVENTS);
});

test("reads the same byte by byte", async () => {
  const length = new TextEncoder().encode(SAMPLE).length;
  expect(await read(SAMPLE, Array.from({ length }, (_, at) => at))).toEqual(EVENTS);
});

test("reads the same from any chunks", async () => {
  const length = new TextEncoder().encode(SAMPLE).length;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(length)), async (cuts) => {
      expect(await read(SAMPLE, cuts)).toEqual(EVENTS);
    }),
  );
});

test("a chunk that completes no event is a sign of life", async () => {
  const items: (string | null)[] = [];
  for await (const item of readSse(pieces(new TextEncoder().encode(": ping\n\ndata: a\n\n"), [8]))) items.push(item);
  expect(items).toEqual([null, "a"]);
});
