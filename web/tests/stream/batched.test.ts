import { expect, test } from "vitest";
import { batched } from "../../src/stream/batched";

async function* numbers(n: number): AsyncGenerator<number> {
  for (let i = 0; i < n; i++) yield i;
}

test("loses nothing and keeps the order", async () => {
  const batches: number[][] = [];
  for await (const batch of batched(numbers(100), () => 5)) batches.push(batch);
  expect(batches.flat()).toEqual(Array.from({ length: 100 }, (_, i) => i));
  expect(batches.every((batch) => batch.length > 0)).toBe(true);
});

test("hands out what it has when nothing more comes in time", async () => {
  let release = (): void => undefined;
  async function* slow(): AsyncGenerator<string> {
    yield "first";
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    yield "second";
  }
  const batches = batched(slow(), () => 1);
  expect((await batches.next()).value).toEqual(["first"]);
  const next = batches.next();
  release();
  expect((await next).value).toEqual(["second"]);
});
