/** Files that a person gives: which are text, in which encoding, and which look like a log. */

import type { TextFile } from "./drafts";

export const MAX_FILE_BYTES = 512 * 1024; // far more than a small model reads
const ENCODINGS = ["utf-8", "gb18030"] as const;

/** "large": too much to send; "binary": no text in it. */
export type Unreadable = "large" | "binary";

export async function readTextFile(file: File, most: number = MAX_FILE_BYTES): Promise<TextFile | Unreadable> {
  if (file.size > most) return "large";
  const text = decode(new Uint8Array(await file.arrayBuffer()));
  return text === undefined ? "binary" : { name: file.name, text };
}

/** undefined for what is no text. Windows writes UTF-16, with a mark, and in China GB 18030. */
export function decode(bytes: Uint8Array): string | undefined {
  const hasMark = bytes[0] === 0xff && bytes[1] === 0xfe;
  if (!hasMark && bytes.includes(0)) return undefined;
  for (const encoding of hasMark ? (["utf-16le"] as const) : ENCODINGS) {
    try {
      return new TextDecoder(encoding, { fatal: true }).decode(bytes);
    } catch {
      // not this one
    }
  }
  return undefined;
}

const LOG_LINE =
  /\b(?:ERROR|WARN(?:ING)?|INFO|DEBUG|FATAL|CRITICAL|Traceback|Exception|panic|segfault|Killed|ERR_[A-Z_]+)\b|^\s*(?:\[?\d{4}-\d\d-\d\d[T ]|\w{3} [ \d]\d \d\d:\d\d:\d\d|File ".+", line \d+|at \S+ \(.+:\d+)|(?:[A-Z]\w+)?Error:/;
const FEWEST_LINES = 2;

export function looksLikeLog({ name, text }: TextFile): boolean {
  if (/\.(?:log|err|out|trace)(?:\.\d+)?$/i.test(name)) return true;
  const lines = text.split("\n", 400).filter((line) => line.trim() !== "");
  const telling = lines.filter((line) => LOG_LINE.test(line)).length;
  return telling >= FEWEST_LINES && telling * 4 >= lines.length;
}
