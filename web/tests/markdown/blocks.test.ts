import { expect, test } from "vitest";
import { mend, toBlocks } from "../../src/markdown/blocks";
import { SAMPLE } from "./sample";

test("while the sample grows, settled blocks keep their text", () => {
  const settled = new Map<number, string>();
  const whole = toBlocks(SAMPLE).blocks.map((token) => token.raw.trimEnd());
  for (let end = 1; end <= SAMPLE.length; end++) {
    const { blocks } = toBlocks(mend(SAMPLE.slice(0, end)));
    for (const [index, token] of blocks.slice(0, -2).entries()) settled.set(index, token.raw.trimEnd());
  }
  for (const [index, raw] of settled) expect(raw).toBe(whole[index]);
});

test.each([
  ["some **bold", "some **bold**"],
  ["some **bold*", "some **bold**"],
  ["some **", "some "],
  ["a `code", "a `code`"],
  ["see [the page](https://exam", "see the page"],
  ["see [the pa", "see the pa"],
  ["a line\n-", "a line"],
  ["a line\n==", "a line"],
  ["- item **one", "- item **one**"],
  ["* item", "* item"],
  ["done **bold** and `code`.", "done **bold** and `code`."],
  ["```\nopen **code", "```\nopen **code"],
])("mends %j", (text, mended) => {
  expect(mend(text)).toBe(mended);
});
