import { expect, test, vi } from "vitest";
import { exchange } from "../src/exchange";
import { LISTED, type Outcome } from "../src/server_store";
import { blankAnswer, type Conversation, type Summary } from "../src/state";
import { NO_SETTINGS } from "../src/settings";

const question = { id: "q", parent: null, role: "user" as const, content: "hi" };

function chat(id: string, more: Partial<Conversation> = {}): Conversation {
  const turns = [question];
  return { id, title: id, updatedAt: 5, shown: "q", settings: NO_SETTINGS, turns, isWhole: true, isUnsaved: false, ...more };
}

function server(listed: string[], outcomes: Record<string, Outcome> = {}) {
  const summaries: Summary[] = listed.map((id) => ({ id, title: id, updatedAt: 5, shown: "q", settings: NO_SETTINGS }));
  const bring = vi.fn(async (conversations: readonly Conversation[], _deleted: "keep" | "revive") =>
    Object.fromEntries(conversations.map(({ id }): [string, Outcome] => [id, outcomes[id] ?? "added"])),
  );
  return { list: vi.fn(async () => summaries), bring };
}

/** Ids of what was brought, as what is kept deleted and what is revived. */
function brought({ bring }: ReturnType<typeof server>): string[][] {
  return bring.mock.calls.map(([conversations]) => conversations.map(({ id }) => id));
}

test("with nothing to bring, the list is all", async () => {
  const it = server(["c"]);
  expect(await exchange(it, [chat("c")])).toMatchObject({ saved: [], deleted: [] });
  expect(it.bring).not.toHaveBeenCalled();
});

test("what is not saved, or unknown to the server, is brought", async () => {
  const it = server(["known", "unsaved"]);
  const local = [chat("known"), chat("unsaved", { isUnsaved: true }), chat("lost")];
  expect((await exchange(it, local)).saved.toSorted()).toEqual(["lost", "unsaved"]);
  expect(brought(it)).toEqual([["lost"], ["unsaved"]]);
  expect(it.bring.mock.calls.map(([, deleted]) => deleted)).toEqual(["keep", "revive"]);
});

test("what was deleted elsewhere is told, and what the server cannot read stays unsaved", async () => {
  const it = server([], { gone: "deleted", odd: "refused" });
  const news = await exchange(it, [chat("gone"), chat("odd", { isUnsaved: true })]);
  expect(news).toMatchObject({ saved: [], deleted: ["gone"] });
});

test("an answer that is being written waits for its end", async () => {
  const it = server([]);
  await exchange(it, [chat("c", { turns: [question, blankAnswer("a", "q")], isUnsaved: true })]);
  expect(it.bring).not.toHaveBeenCalled();
});

test("copies older than a full list are taken as known", async () => {
  const it = server(Array.from({ length: LISTED }, (_, n) => `c${n}`));
  await exchange(it, [chat("old", { updatedAt: 4 })]);
  expect(it.bring).not.toHaveBeenCalled();
  await exchange(it, [chat("new", { updatedAt: 6 })]);
  expect(brought(it)[0]).toEqual(["new"]);
});
