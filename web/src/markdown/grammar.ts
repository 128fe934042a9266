/** Markdown as models write it: GitHub's, with line breaks, and TeX between $…$, $$…$$, \(…\), \[…\]. */

import { Marked, type TokenizerExtension, type Tokens, type TokensList } from "marked";

export interface MathToken extends Tokens.Generic {
  type: "math" | "inlineMath";
  raw: string;
  tex: string;
  isDisplay: boolean;
}

const BLOCK = /^ {0,3}(?:\$\$([^$]+?)\$\$|\\\[((?:(?!\\\])[^])+?)\\\])[ \t]*(?:\n+|$)/;
const BLOCK_START = /(?:^|\n) {0,3}(?:\$\$|\\\[)/;
// a dollar sign before a space or after one is money
const INLINE = /^(?:\\\(((?:(?!\\\))[^])+?)\\\)|\\\[((?:(?!\\\])[^])+?)\\\]|\$\$([^$\n]+?)\$\$|\$(?![\s$])((?:\\.|[^$\\\n])*?[^\s$\\])\$(?!\d))/;

const block: TokenizerExtension = {
  name: "math",
  level: "block",
  start: (text) => BLOCK_START.exec(text)?.index,
  tokenizer: (text) => {
    const [raw, double, square] = BLOCK.exec(text) ?? [];
    return raw === undefined ? undefined : math("math", raw, double ?? square, true);
  },
};

const inline: TokenizerExtension = {
  name: "inlineMath",
  level: "inline",
  start: (text) => placeIn(text.search(/\$|\\[([]/)),
  tokenizer: (text) => {
    const [raw, round, square, double, single] = INLINE.exec(text) ?? [];
    if (raw === undefined) return undefined;
    const isDisplay = (square ?? double) !== undefined;
    return math("inlineMath", raw, round ?? square ?? double ?? single, isDisplay);
  },
};

const marked = new Marked({ gfm: true, breaks: true, extensions: [block, inline] });

export function lex(text: string): TokensList {
  return marked.lexer(text);
}

function math(type: MathToken["type"], raw: string, tex: string | undefined, isDisplay: boolean): MathToken {
  return { type, raw, tex: (tex ?? "").trim(), isDisplay };
}

function placeIn(index: number): number | undefined {
  return index < 0 ? undefined : index;
}
