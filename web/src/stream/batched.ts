/** Groups events in time. Knows nothing of what they say. */

/**
 * Groups what arrives within a time, so that fast text costs few redraws. What comes after a pause
 * is given at once; the rest of its time begins then.
 */
export async function* batched<T>(
  events: AsyncIterable<T>,
  everyMs: () => number,
): AsyncGenerator<T[], void, undefined> {
  let batch: T[] = [];
  let due = 0;
  const iterator = events[Symbol.asyncIterator]();
  let next = iterator.next();
  for (;;) {
    const wait = batch.length > 0 ? sleep(Math.max(0, due - Date.now())) : forever();
    const result = await Promise.race([next, wait]);
    if (result === undefined || result.done) {
      if (batch.length > 0) yield batch;
      batch = [];
      if (result?.done) return;
      due = Date.now() + everyMs();
      continue;
    }
    batch.push(result.value);
    next = iterator.next();
  }
}

/** A new one each time: racing one promise again and again would collect its listeners. */
function forever(): Promise<undefined> {
  return new Promise(() => undefined);
}

function sleep(ms: number): Promise<undefined> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms, undefined);
  });
}
