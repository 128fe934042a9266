import { expect, test } from "vitest";
import type { Conversation } from "../src/state";
import { BrowserStore } from "../src/store";

const CHAT: Conversation = { id: "c1", title: "t", updatedAt: 1, turns: [] };

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
