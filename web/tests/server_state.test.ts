import { afterEach, expect, test, vi } from "vitest";
import { askServer, feelPulse } from "../src/server_state";
import { onTrouble } from "../src/trouble";

const VERSION = { model: { name: "Qwen2.5-0.5B-Instruct" }, progress: 0.4 };

afterEach(() => vi.unstubAllGlobals());

function serve(ready: Response, version: unknown = VERSION): void {
  const incidents = [
    { layer: "network", closed: 0 },
    { layer: "network", closed: 0 },
    { layer: "engine", closed: 1_700_000_000 },
  ];
  const others: Record<string, unknown> = { "/version": version, "/api/incidents": { incidents } };
  vi.stubGlobal("fetch", async (path: string) => (path === "/ready" ? ready : Response.json(others[path])));
}

test("ready, with the model really served and the layers in trouble", async () => {
  serve(Response.json({ status: "ready" }));
  expect(await askServer("en")).toEqual({ readiness: { name: "ready" }, model: "Qwen2.5-0.5B-Instruct", troubled: ["network"] });
});

test("loading, with how far", async () => {
  serve(Response.json({ type: "/faults/model-still-loading" }, { status: 503 }), { model: null, progress: 0.4 });
  expect(await askServer("en")).toEqual({ readiness: { name: "loading", progress: 0.4 }, model: null, troubled: ["network"] });
});

test("broken, with cause and fix", async () => {
  const problem = { type: "/faults/weights-truncated", title: "Weights truncated", detail: "short", fix: "pull" };
  serve(Response.json(problem, { status: 503 }));
  expect((await askServer("en")).readiness).toEqual({
    name: "broken",
    problem: { code: "weights-truncated", title: "Weights truncated", cause: "short", fix: "pull" },
  });
});

test("unreachable when nothing or something else answers", async () => {
  serve(new Response("<html>"));
  expect((await askServer("en")).readiness).toEqual({ name: "unreachable" });
});

test("a pulse without an answer is trouble, any answer is none", async () => {
  const heard = vi.fn();
  const stop = onTrouble(heard);
  vi.stubGlobal("fetch", async () => new Response("", { status: 503 }));
  await feelPulse();
  expect(heard).not.toHaveBeenCalled();
  vi.stubGlobal("fetch", async () => Promise.reject(new TypeError("refused")));
  await feelPulse();
  expect(heard).toHaveBeenCalledOnce();
  stop();
});
