/** What was written and not yet sent, per conversation. Knows nothing of how it is written. */

import { readStored, writeStored } from "./stored";

export interface TextFile {
  name: string;
  text: string;
}

export interface Draft {
  text: string;
  files: readonly TextFile[];
}

export const NO_DRAFT: Draft = { text: "", files: [] };

/** id null: of a conversation not yet begun. */
export function readDraft(id: string | null): Draft {
  try {
    const value = JSON.parse(readStored(nameOf(id)) ?? "null") as Partial<Draft> | null;
    if (typeof value?.text === "string" && Array.isArray(value.files)) return value as Draft;
  } catch {
    // left by something else
  }
  return NO_DRAFT;
}

export function writeDraft(id: string | null, draft: Draft): void {
  const isEmpty = draft.text === "" && draft.files.length === 0;
  writeStored(nameOf(id), isEmpty ? null : JSON.stringify(draft));
}

/** The message that a draft becomes: files follow the text, each in a fence longer than any in it. */
export function toMessage({ text, files }: Draft): string {
  return [text.trim(), ...files.map(quoted)].filter((part) => part !== "").join("\n\n");
}

function quoted({ name, text }: TextFile): string {
  const longest = Math.max(2, ...(text.match(/`{3,}/g) ?? []).map((it) => it.length));
  const fence = "`".repeat(longest + 1);
  return `${name}:\n${fence}\n${text.trimEnd()}\n${fence}`;
}

function nameOf(id: string | null): string {
  return `draft.${id ?? ""}`;
}
