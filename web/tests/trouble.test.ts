import { afterEach, expect, test, vi } from "vitest";
import { ask } from "../src/ask";
import { onTrouble } from "../src/trouble";

afterEach(() => vi.unstubAllGlobals());

test("a refused connection and a broken server are trouble, a refusal and an abort are none", async () => {
  const heard = vi.fn();
  const stop = onTrouble(heard);
  const abort = new AbortController();
  abort.abort();
  const outcomes: [() => Promise<Response>, RequestInit, number][] = [
    [async () => Promise.reject(new TypeError("refused")), {}, 1],
    [async () => new Response("", { status: 503 }), {}, 2],
    [async () => new Response("", { status: 429 }), {}, 2],
    [async () => Promise.reject(new TypeError("aborted")), { signal: abort.signal }, 2],
    [async () => Response.json({}), {}, 2],
  ];
  for (const [answer, { signal }, times] of outcomes) {
    vi.stubGlobal("fetch", answer);
    await ask("/api/x", signal ? { signal } : {}).catch(() => undefined);
    expect(heard).toHaveBeenCalledTimes(times);
  }
  stop();
});
