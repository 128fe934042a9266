import { afterEach, expect, test, vi } from "vitest";
import { Refused } from "../src/ask";
import { ServerStore, toTurn } from "../src/server_store";
import type { Conversation, Progress, Turn } from "../src/state";
import { NO_SETTINGS } from "../src/settings";

afterEach(() => vi.unstubAllGlobals());

/** Answers each request with the next body; gives what was asked for. */
function serve(...bodies: unknown[]): { url: string; init: RequestInit }[] {
  const seen: { url: string; init: RequestInit }[] = [];
  vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
    seen.push({ url, init });
    return Response.json(bodies.shift() ?? {});
  });
  return seen;
}

const RAW = { id: "a", parent: "q", role: "assistant" as const, content: "x", notices: [], state: "done" as const, end: {} };

test("lists in the page's words", async () => {
  serve({ conversations: [{ id: "c", title: "t", updated_at: 7, current: "a", created_at: 1, settings: {} }] });
  expect(await new ServerStore().list()).toEqual([{ id: "c", title: "t", updatedAt: 7, shown: "a", settings: NO_SETTINGS }]);
});

test("fetches page after page, and names answers that are being written", async () => {
  const partial = { ...RAW, id: "b", state: "partial", stream: "s1" };
  const seen = serve({ messages: [RAW], next: 4 }, { messages: [partial], next: null });
  const { turns, streams } = await new ServerStore().fetch("c/d");
  expect(seen.map(({ url }) => url)).toEqual([
    "/api/conversations/c%2Fd/messages?after=0",
    "/api/conversations/c%2Fd/messages?after=4",
  ]);
  expect(turns.map(({ id }) => id)).toEqual(["a", "b"]);
  expect([...streams]).toEqual([["b", "s1"]]);
  expect(turns[1]).toMatchObject({ content: "", progress: { name: "waiting" } });
});

test.each<[object, Progress]>([
  [{ state: "done", end: { reason: "length" } }, { name: "done", reason: "length", usage: null, timings: null }],
  [{ state: "partial" }, { name: "done", reason: "server-stopped", usage: null, timings: null }],
  [{ state: "interrupted" }, { name: "done", reason: "server-stopped", usage: null, timings: null }],
  [
    { state: "interrupted", end: { type: "done", reason: "interrupted" } }, // the page was closed, as it said itself
    { name: "done", reason: "interrupted", usage: null, timings: null },
  ],
  [
    { state: "failed", end: { code: "worker-crashed", cause: "c", fix: "f" } },
    { name: "failed", failure: { code: "worker-crashed", title: "", cause: "c", fix: "f", request_id: "" } },
  ],
])("%j becomes %j", (raw, progress) => {
  expect(toTurn({ ...RAW, ...raw })).toMatchObject({ progress });
});

const UNSAVED = [{ code: "disk-full", detail: { saved: false } }];

function chat(id: string, content: string): Conversation {
  const turns: Turn[] = [
    { id: "q", parent: null, role: "user", content },
    { id: "a", parent: "q", role: "assistant", content: "y", progress: { name: "writing" }, notices: UNSAVED },
  ];
  return { id, title: "t", updatedAt: 1, shown: "a", settings: NO_SETTINGS, turns, isWhole: true, isUnsaved: true };
}

test("brings conversations in batches that the server takes", async () => {
  const seen = serve({ outcomes: { c1: "added" } }, { outcomes: { c2: "merged" } });
  const big = "字".repeat(1_000_000);
  expect(await new ServerStore().bring([chat("c1", big), chat("c2", big)], "keep")).toEqual({ c1: "added", c2: "merged" });
  expect(seen.map(({ url }) => url)).toEqual(Array(2).fill("/api/conversations/import?deleted=keep"));
  const [tree] = (JSON.parse(String(seen[0]?.init.body)) as { conversations: [Record<string, unknown>] }).conversations;
  expect(tree).toMatchObject({ id: "c1", current: "a", updated_at: 1 });
  expect((tree["messages"] as object[])[1]).toEqual({
    id: "a",
    parent: "q",
    role: "assistant",
    content: "y",
    notices: [],
    state: "interrupted",
    end: { type: "done", reason: "interrupted" },
  });
});

test("reads exported files and refuses others", async () => {
  const seen = serve({ outcomes: { x: "added" } }, { outcomes: { y: "added" } });
  const store = new ServerStore();
  await store.bringFile("a.md", "# t");
  expect(new Headers(seen[0]?.init.headers).get("content-type")).toBe("text/markdown");
  await store.bringFile("A.JSON", '{"conversations": [{"id": "y"}]}');
  expect(seen[1]?.url).toBe("/api/conversations/import?deleted=revive");
  await expect(store.bringFile("b.json", "{}")).rejects.toThrow(SyntaxError);
  await expect(store.bringFile("c.json", "hello")).rejects.toThrow(SyntaxError);
});

test("says why the server refuses", async () => {
  vi.stubGlobal("fetch", async () =>
    Response.json({ type: "/faults/database-locked", detail: "d", fix: "f" }, { status: 503 }),
  );
  await expect(new ServerStore().list()).rejects.toBeInstanceOf(Refused);
});
