import { expect, test } from "vitest";
import { decode, looksLikeLog, readTextFile } from "../src/text_file";

test.each([
  ["UTF-8", new TextEncoder().encode("中文")],
  ["UTF-16 of Windows", new Uint8Array([0xff, 0xfe, 0x2d, 0x4e, 0x87, 0x65])],
  ["GB 18030", new Uint8Array([0xd6, 0xd0, 0xce, 0xc4])],
])("reads %s", (_, bytes) => {
  expect(decode(bytes)).toBe("中文");
});

test("a picture is no text, and too much is too much", async () => {
  expect(await readTextFile(new File([new Uint8Array([137, 80, 78, 71, 0])], "a.png"))).toBe("binary");
  expect(await readTextFile(new File(["x".repeat(600_000)], "a.txt"))).toBe("large");
  expect(await readTextFile(new File(["text"], "a.txt"))).toEqual({ name: "a.txt", text: "text" });
});

test.each([
  ["serve.log", "anything"],
  ["", "2026-01-01 10:00:00 INFO start\n2026-01-01 10:00:01 ERROR failed"],
  ["", 'Traceback (most recent call last):\n  File "a.py", line 3, in f\nValueError: no'],
  ["", "Nov  2 10:00:00 host qwell[1]: up\nNov  2 10:00:01 host qwell[1]: down"],
])("%j with %j looks like a log", (name, text) => {
  expect(looksLikeLog({ name, text })).toBe(true);
});

test.each(["An error is an information.\nIt says what is wrong.", "def f():\n    return 1", "INFO alone"])(
  "%j does not",
  (text) => {
    expect(looksLikeLog({ name: "", text })).toBe(false);
  },
);
