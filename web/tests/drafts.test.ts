import { beforeEach, expect, test } from "vitest";
import { NO_DRAFT, readDraft, toMessage, writeDraft } from "../src/drafts";

beforeEach(() => localStorage.clear());

test("each conversation has its draft, and the one not yet begun, too", () => {
  const draft = { text: "half", files: [{ name: "a.txt", text: "a" }] };
  writeDraft("c", draft);
  writeDraft(null, { text: "new", files: [] });
  expect(readDraft("c")).toEqual(draft);
  expect(readDraft(null).text).toBe("new");
  expect(readDraft("other")).toEqual(NO_DRAFT);
});

test("an empty draft leaves nothing behind", () => {
  writeDraft("c", { text: "x", files: [] });
  writeDraft("c", NO_DRAFT);
  expect(localStorage.length).toBe(0);
});

test("what something else has left is no draft", () => {
  localStorage.setItem("qwell.draft.c", "{broken");
  expect(readDraft("c")).toEqual(NO_DRAFT);
});

test("a fence is longer than any in the file", () => {
  const files = [{ name: "notes.md", text: "```\ncode\n```\n" }];
  expect(toMessage({ text: " read ", files })).toBe("read\n\nnotes.md:\n````\n```\ncode\n```\n````");
});
