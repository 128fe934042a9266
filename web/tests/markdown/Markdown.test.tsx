import * as fc from "fast-check";
import { act } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Markdown, safeAddress } from "../../src/markdown/Markdown";
import { SAMPLE } from "./sample";

let box: HTMLElement;
let root: Root;

beforeEach(() => {
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  box = document.createElement("div");
  root = createRoot(box);
});

afterEach(() => {
  act(() => root.unmount());
  vi.unstubAllGlobals();
});

function draw(text: string, isGrowing = false): HTMLElement {
  act(() => root.render(<Markdown text={text} isGrowing={isGrowing} />));
  return box;
}

test("draws the blocks and words of the sample", () => {
  draw(SAMPLE);
  const count = (selector: string): number => box.querySelectorAll(selector).length;
  expect([count("h3"), count("strong"), count("ol > li"), count("ul li"), count("td")]).toEqual([1, 1, 3, 3, 2]);
  expect(box.querySelector("pre code")?.textContent).toContain('    print("**not bold**")');
  expect(box.querySelectorAll("a[href^='https://example.com']")).toHaveLength(3);
});

test("HTML is text like any other, also where it is not closed", () => {
  draw("<img src=x onerror=alert(1)> a<b vector<int <script>alert(1)</script>");
  expect(box.querySelector("img, script")).toBeNull();
  expect(box.textContent).toBe("<img src=x onerror=alert(1)> a<b vector<int <script>alert(1)</script>");
});

test("images are links: nothing is loaded from elsewhere", () => {
  draw("![a cat](https://example.com/cat.png)");
  expect(box.querySelector("img")).toBeNull();
  expect(box.querySelector("a")?.textContent).toBe("a cat");
});

test.each(["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", "/ready", "file:///x"])(
  "no link leads to %s",
  (href) => expect(safeAddress(href)).toBeUndefined(),
);

test("entities are characters", () => {
  expect(draw("&lt;b&gt; &amp; AT&T &#20013; &unknown;").textContent).toBe("<b> & AT&T 中 &unknown;");
});

test("text that came in pieces is drawn like the whole", () => {
  const whole = draw(SAMPLE).innerHTML;
  fc.assert(
    fc.property(fc.array(fc.nat(SAMPLE.length), { maxLength: 12 }), (cuts) => {
      for (const cut of cuts.toSorted((a, b) => a - b)) draw(SAMPLE.slice(0, cut), true);
      expect(draw(SAMPLE).innerHTML).toBe(whole);
    }),
    { numRuns: 30 },
  );
});

test("blocks that are settled keep their nodes while the text grows", () => {
  draw("first\n\nsecond **wo", true);
  const first = box.querySelector("p");
  draw("first\n\nsecond **word** and more", true);
  expect(box.querySelector("p")).toBe(first);
});

test("nothing that a model may write breaks the drawing", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."ab*_`#-|[]()<>!&;1. \n~\\缓🙂") }), (text) => {
      draw(text, true);
      draw(text);
    }),
  );
});

test("what closes a sentence stays with the formula before it, and is said once", () => {
  draw("复杂度 \\(O(n)\\)：很低。 And \\(a\\), \\(b\\) too; \\(c\\) not.");
  const kept = [...box.querySelectorAll(".unbroken")].map((it) => it.textContent?.at(-1));
  expect(kept).toEqual(["：", ","]);
  expect(box.textContent).toContain("：很低。 And ");
  expect(box.textContent?.match(/：/g)).toHaveLength(1);
});
