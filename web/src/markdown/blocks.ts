/** Splits text into the blocks that are drawn one by one. Knows markdown, not React. */

import type { Token, TokensList } from "marked";
import { lex } from "./grammar";

/** Top-level blocks in order, and the link definitions that any of them may refer to. */
export interface Blocks {
  blocks: readonly Token[];
  definitions: string;
}

export function toBlocks(text: string): Blocks {
  const tokens = lex(text);
  return { blocks: tokens.filter(isDrawn), definitions: JSON.stringify(tokens.links) };
}

const NO_DEFINITIONS = "{}";
const DEFINITION = /^ {0,3}\[[^\]]+\]:/m;
const VOLATILE = 2; // blocks at the end that further text may still change

/**
 * The blocks of a text that grows, read again only from where it may still change. Gives for each
 * text what toBlocks gives for it; settled blocks are the same objects.
 */
export class GrowingBlocks {
  private settledText = "";
  private settled: readonly Token[] = [];

  of(text: string, isGrowing: boolean): Blocks {
    // a definition may change any block before it
    if (DEFINITION.test(text)) return toBlocks(isGrowing ? mend(text) : text);
    if (!text.startsWith(this.settledText)) this.forget();
    const rest = text.slice(this.settledText.length);
    const tokens = lex(rest);
    const end = isGrowing ? lex(mendFrom(tokens, rest)) : tokens;
    const blocks = [...this.settled, ...end.filter(isDrawn)];
    this.settle(tokens);
    return { blocks, definitions: NO_DEFINITIONS };
  }

  /** What stands before an empty line and two more blocks stays as it is. */
  private settle(tokens: TokensList): void {
    const boundary = tokens.findLastIndex(
      (token, at) => token.type === "space" && tokens.slice(at).filter(isDrawn).length >= VOLATILE,
    );
    if (boundary < 0) return;
    const done = tokens.slice(0, boundary + 1);
    this.settledText += done.map(({ raw }) => raw).join("");
    this.settled = [...this.settled, ...done.filter(isDrawn)];
  }

  private forget(): void {
    this.settledText = "";
    this.settled = [];
  }
}

function isDrawn({ type }: Token): boolean {
  return type !== "space" && type !== "def";
}

/**
 * Text that is still being written, with its end made whole: an open emphasis is closed, a link
 * whose address is not there yet shows its words, a line that may become anything is held back.
 */
export function mend(text: string): string {
  return mendFrom(lex(text), text);
}

function mendFrom(blocks: TokensList, text: string): string {
  const last = blocks.at(-1);
  if (!last || last.type === "code" || last.type === "html" || last.type === "math") return text;
  const head = text.slice(0, text.length - last.raw.length);
  // a lone - or = under a line would turn it into a heading until more comes
  const tail = last.raw
    .replace(/\n[ ]{0,3}(?:-+|=+|[*+]|\d{1,9})[ ]*$/, "")
    .replace(/!?\[([^[\]\n]*)(?:\]\([^)\n]*)?$/, holdBackBracket);
  return head + closeInline(holdBackMath(tail));
}

/** The words of a link that is not whole yet; `\[` begins a formula. */
function holdBackBracket(whole: string, words: string, at: number, text: string): string {
  return text[at - 1] === "\\" ? whole : words;
}

const LONGEST_FORMULA = 600; // what is held back longer is no formula
const OPEN_MATH = /(?:\\\((?:(?!\\\))[^])*|\\\[(?:(?!\\\])[^])*|\\)$/;

/** A formula shows when it is whole. */
function holdBackMath(text: string): string {
  const open = OPEN_MATH.exec(text)?.[0] ?? openDollars(text);
  return open.includes("`") || open.length > LONGEST_FORMULA ? text : text.slice(0, text.length - open.length);
}

function openDollars(text: string): string {
  return count(text, /\$\$/g) % 2 === 1 ? text.slice(text.lastIndexOf("$$")) : "";
}

function closeInline(text: string): string {
  const line = text.slice(text.lastIndexOf("\n") + 1);
  if (count(line, /`+/g) % 2 === 1) return `${text}\``;
  const plain = line.replace(/`[^`]*`/g, "").replace(/^\s*[*+-]\s/, "");
  if (plain.endsWith("**") && count(plain, /\*\*/g) % 2 === 1) return text.slice(0, -2);
  if (count(plain, /\*\*/g) % 2 === 1) return `${text.replace(/\*$/, "")}**`;
  return text;
}

function count(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}
