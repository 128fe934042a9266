/** What can be typed after a slash. Knows names and how they are found, not what they do. */

export const COMMANDS = ["new", "system", "settings", "export", "clear", "retry", "theme", "doctor", "help"] as const;
export type CommandName = (typeof COMMANDS)[number];

export interface Command {
  name: CommandName;
  rest: string; // what follows the name
}

/** Names that begin with what is typed so far; empty when it is no command, or one with its words. */
export function matching(text: string): readonly CommandName[] {
  const typed = /^\/([a-z]*)$/i.exec(text)?.[1]?.toLowerCase();
  return typed === undefined ? [] : COMMANDS.filter((name) => name.startsWith(typed));
}

/** undefined for a message: `/usr/bin is a folder` is one. */
export function toCommand(text: string): Command | undefined {
  const [, typed, rest = ""] = /^\/([a-z]+)(?:\s+([^]*))?$/i.exec(text.trim()) ?? [];
  const name = COMMANDS.find((it) => it === typed?.toLowerCase());
  return name && { name, rest: rest.trim() };
}
