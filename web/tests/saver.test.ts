import { expect, test, vi } from "vitest";
import { Saver } from "../src/saver";
import type { Conversation } from "../src/state";
import { NO_SETTINGS } from "../src/settings";

const chat = (id: string): Conversation => ({ id, title: id, updatedAt: 1, shown: null, settings: NO_SETTINGS, turns: [], isWhole: true, isUnsaved: false });

function setUp(stored: Conversation[], save = vi.fn(async () => undefined)) {
  const remove = vi.fn(async () => undefined);
  const onResult = vi.fn();
  const saver = new Saver({ list: async () => stored, save, remove }, stored, onResult);
  return { saver, save, remove, onResult };
}

test("writes what changed and removes what is gone", async () => {
  const [kept, gone, added] = [chat("kept"), chat("gone"), chat("added")];
  const { saver, save, remove, onResult } = setUp([kept, gone]);
  saver.push([kept, added]);
  saver.flush();
  await vi.waitFor(() => expect(onResult).toHaveBeenCalledWith(true));
  expect(save.mock.calls).toEqual([[added]]);
  expect(remove.mock.calls).toEqual([["gone"]]);
});

test("writes only the last of many quick changes", async () => {
  vi.useFakeTimers();
  const { saver, save } = setUp([]);
  const last = { ...chat("a"), title: "last" };
  saver.push([chat("a")]);
  saver.push([last]);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(save.mock.calls).toEqual([[last]]);
  vi.useRealTimers();
});

test("says when the store refuses", async () => {
  const full = vi.fn(async () => {
    throw new Error("quota");
  });
  const { saver, onResult } = setUp([], full);
  saver.push([chat("a")]);
  saver.flush();
  await vi.waitFor(() => expect(onResult).toHaveBeenCalledWith(false));
});
