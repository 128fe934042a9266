import { expect, test } from "vitest";
import type { Conversation } from "../src/state";
import { BrowserStore } from "../src/store";
import { NO_SETTINGS } from "../src/settings";

const CHAT: Conversation = {
  id: "c1",
  title: "t",
  updatedAt: 1,
  shown: null,
  settings: NO_SETTINGS,
  turns: [],
  isWhole: true,
  isUnsaved: false,
};

test("keeps, replaces and forgets conversations", async () => {
  localStorage.clear();
  const store = new BrowserStore();
  await store.save(CHAT);
  await store.save({ ...CHAT, title: "renamed" });
  expect(await store.list()).toEqual([{ ...CHAT, title: "renamed" }]);
  await store.remove("c1");
  expect(await store.list()).toEqual([]);
});

test("leaves alone what others have stored", async () => {
  localStorage.clear();
  localStorage.setItem("qwell.theme", "dark");
  localStorage.setItem("qwell.conversation.x", "not json");
  localStorage.setItem("qwell.conversation.y", '{"id": 3}');
  expect(await new BrowserStore().list()).toEqual([]);
});

test("what an earlier page kept becomes one branch that the server does not have", async () => {
  localStorage.clear();
  const turns = [
    { id: "q", role: "user", content: "hi" },
    { id: "a", role: "assistant", content: "hello", progress: { name: "writing" }, notices: [] },
  ];
  localStorage.setItem("qwell.conversation.old", JSON.stringify({ id: "old", title: "t", updatedAt: 3, turns }));
  const [upgraded] = await new BrowserStore().list();
  expect(upgraded).toMatchObject({ shown: "a", isWhole: true, isUnsaved: true });
  expect(upgraded?.turns.map(({ id, parent }) => [id, parent])).toEqual([
    ["q", null],
    ["a", "q"],
  ]);
});

/** A storage with room for so many entries. */
function small(room: number): Storage {
  const entries: Record<string, string> = {};
  const storage = {
    getItem: (key: string) => entries[key] ?? null,
    setItem: (key: string, value: string) => {
      if (!(key in entries) && Object.keys(entries).length >= room) throw new DOMException("full", "QuotaExceededError");
      entries[key] = value;
    },
    removeItem: (key: string) => void delete entries[key],
  };
  return new Proxy(storage as unknown as Storage, { ownKeys: () => Object.keys(entries), getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }) });
}

test("the oldest copy makes room, what is not saved elsewhere never", async () => {
  const store = new BrowserStore(small(2));
  await store.save({ ...CHAT, id: "old", updatedAt: 1 });
  await store.save({ ...CHAT, id: "older, but here only", updatedAt: 0, isUnsaved: true });
  await store.save({ ...CHAT, id: "new", updatedAt: 2 });
  expect((await store.list()).map(({ id }) => id)).toEqual(["older, but here only", "new"]);
  await store.save({ ...CHAT, id: "second", updatedAt: 3, isUnsaved: true });
  await expect(store.save({ ...CHAT, id: "third", updatedAt: 4 })).rejects.toThrow("full");
});
