import { expect, test } from "vitest";
import { findLocally } from "../src/search";
import type { Conversation } from "../src/state";
import { NO_SETTINGS } from "../src/settings";

function chat(id: string, title: string, ...contents: string[]): Conversation {
  const turns = contents.map((content, n) => ({ id: `${id}${n}`, parent: null, role: "user" as const, content }));
  return { id, title, updatedAt: 1, shown: null, settings: NO_SETTINGS, turns, isWhole: true, isUnsaved: false };
}

const CHATS = [chat("zh", "缓存", "什么是缓存命中？"), chat("en", "Caches", "What is a\ncache miss?", "thanks")];

test("every word must be in one turn or in the title", () => {
  expect(findLocally("命中", CHATS)).toMatchObject([{ id: "zh", turnId: "zh0" }]);
  expect(findLocally("MISS cache", CHATS)).toMatchObject([{ id: "en", turnId: "en0", excerpt: "What is a cache miss?" }]);
  expect(findLocally("caches", CHATS)).toMatchObject([{ id: "en", turnId: null, excerpt: "" }]);
  expect(findLocally("miss thanks", CHATS)).toEqual([]);
});

test("a long turn is cut around the word", () => {
  const [hit] = findLocally("needle", [chat("c", "t", `${"x ".repeat(200)}needle${" y".repeat(200)}`)]);
  expect(hit?.excerpt).toMatch(/^….*needle.*…$/);
  expect(hit?.excerpt.length).toBeLessThan(100);
});
