import * as fc from "fast-check";
import { expect, test } from "vitest";
import { GrowingBlocks, mend, toBlocks } from "../../src/markdown/blocks";
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
  ["so \\(x = 1", "so "],
  ["so \\[x = [1, 2", "so "],
  ["so $$x", "so "],
  ["costs $5", "costs $5"],
])("mends %j", (text, mended) => {
  expect(mend(text)).toBe(mended);
});

const PIECES = [
  ...SAMPLE.split("\n\n"),
  "so \\(a_1\\) and $b$ cost $5 and $6",
  "\\[\n\\frac{1}{2}\n\\]",
  "$$x^2$$",
  "    indented",
  "1. one\n\n   more of one",
  "text\n- item\n\n  still the item",
  "Title\n===",
  "<div>\n\ninside",
  "~~~\nopen fence",
  "***",
];

test("a text that grows is read like the whole, however it is cut", () => {
  const texts = fc.array(fc.constantFrom(...PIECES), { maxLength: 9 }).map((parts) => parts.join("\n\n"));
  fc.assert(
    fc.property(texts, fc.array(fc.nat(40), { minLength: 1 }), (text, steps) => {
      const growing = new GrowingBlocks();
      for (let [end, at] = [0, 0]; end < text.length; at++) {
        end += 1 + (steps[at % steps.length] ?? 0);
        const part = text.slice(0, end);
        expect(growing.of(part, true)).toEqual(toBlocks(mend(part)));
      }
      expect(growing.of(text, false)).toEqual(toBlocks(text));
    }),
  );
});

test("settled blocks are not read again", () => {
  const growing = new GrowingBlocks();
  const text = "one\n\ntwo\n\nthree\n\nfour";
  growing.of(text, true);
  const [first] = growing.of(`${text} and`, true).blocks;
  expect(growing.of(`${text} and more`, true).blocks[0]).toBe(first);
  expect(growing.of("another text", true).blocks).toHaveLength(1);
});

test.each([
  ["so \\(a_1\\) ends", "a_1", false],
  ["so $a_1$ ends", "a_1", false],
  ["so \\[a\\] ends", "a", true],
  ["$$\na\n$$", "a", true],
  ["text\n\\[\na\n\\]\nmore", "a", true],
])("finds the formula in %j", (text, tex, isDisplay) => {
  const formula = { tex, isDisplay };
  const found = JSON.stringify(toBlocks(text).blocks);
  expect(found).toContain(JSON.stringify(formula).slice(1, -1));
});

test.each(["from $5 to $10", "`\\(code\\)`", "US$ 5 or $ 6 $", "```\n$$x$$\n```"])(
  "leaves %j alone",
  (text) => {
    expect(JSON.stringify(toBlocks(text).blocks)).not.toContain('"tex"');
  },
);
