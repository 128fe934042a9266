/** A browser that is well, for tests to break one thing of. */

import { ErrorRing } from "../../src/doctor/error_ring";
import type { Surroundings } from "../../src/doctor/probes";

export type Serve = (path: string, init: RequestInit) => Response | Promise<Response>;

export const ORIGIN = "http://box:8000";

class OpenSocket extends EventTarget {
  constructor(readonly url: URL) {
    super();
    queueMicrotask(() => this.dispatchEvent(new Event("open")));
  }
  close(): void {}
}

/** Frames with the time between them that the path asks for. */
function frames(path: string): Response {
  const query = new URL(path, ORIGIN).searchParams;
  const n = Number(query.get("n"));
  const every = Number(query.get("every_ms"));
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      for (let seq = 0; seq < n; seq += 1) {
        if (seq > 0) await new Promise((resolve) => setTimeout(resolve, Math.min(every, 40)));
        controller.enqueue(encoder.encode(`data: {"seq": ${seq}}\n\n`));
      }
      controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

export function healthy(path: string): Response {
  const headers = { "x-request-id": `id of ${path.split("?")[0]}`, date: new Date().toUTCString() };
  if (path.startsWith("/api/selftest/stream")) return frames(path);
  if (path === "/") return new Response('<script type="module" src="/assets/index-1.js"></script>', { headers });
  return Response.json({ name: "qwell", bytes: 1 }, { headers });
}

export function around(serve: Serve = healthy, changes: Partial<Surroundings> = {}): Surroundings {
  return {
    fetch: (async (path: string, init: RequestInit = {}) => serve(path, init)) as typeof fetch,
    WebSocket: OpenSocket as unknown as typeof WebSocket,
    location: { href: `${ORIGIN}/`, origin: ORIGIN, host: "box:8000", protocol: "http:" },
    isOnline: () => true,
    now: () => Date.now(),
    ring: new ErrorRing(),
    scripts: () => ["/assets/index-1.js"],
    resources: () => [`${ORIGIN}/assets/index-1.js`],
    storage: () => localStorage,
    quota: async () => ({ usage: 1e6, quota: 1e9 }),
    workers: async () => [],
    ...changes,
  };
}
