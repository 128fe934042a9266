/** Splits text into the blocks that are drawn one by one. Knows markdown, not React. */

import { Marked, type Token, type TokensList } from "marked";

const marked = new Marked({ gfm: true, breaks: true });

/**
 * Top-level blocks in order, and the link definitions that any of them may refer to. While text
 * only grows, all blocks but the last keep their raw text.
 */
export function toBlocks(text: string): { blocks: Token[]; definitions: string } {
  const tokens = marked.lexer(text);
  const blocks = tokens.filter((token) => token.type !== "space" && token.type !== "def");
  return { blocks, definitions: JSON.stringify(tokens.links) };
}

/**
 * Text that is still being written, with its end made whole: an open emphasis is closed, a link
 * whose address is not there yet shows its words, a line that may become anything is held back.
 */
export function mend(text: string): string {
  const blocks: TokensList = marked.lexer(text);
  const last = blocks.at(-1);
  if (!last || last.type === "code" || last.type === "html") return text;
  const head = text.slice(0, text.length - last.raw.length);
  // a lone - or = under a line would turn it into a heading until more comes
  const tail = last.raw
    .replace(/\n[ ]{0,3}(?:-+|=+|[*+]|\d{1,9})[ ]*$/, "")
    .replace(/!?\[([^[\]\n]*)(?:\]\([^)\n]*)?$/, "$1");
  return head + closeInline(tail);
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
