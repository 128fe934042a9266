/** What a probe of the browser found, in the doctor's words. Knows no probe. */

export type CheckStatus = "pass" | "warn" | "fail" | "skip" | "error";

export interface Fact {
  key: string;
  value: string | number | boolean;
  source?: string;
}

export interface Found {
  status: CheckStatus;
  because: string;
  evidence: Fact[];
}

export interface Finding extends Found {
  check: string;
  ms: number;
}

type Facts = Record<string, string | number | boolean>;

export const passed = (facts: Facts = {}): Found => found("pass", "", facts);
export const warned = (because: string, facts: Facts = {}): Found => found("warn", because, facts);
export const failed = (because: string, facts: Facts = {}): Found => found("fail", because, facts);
export const skipped = (because: string): Found => found("skip", because, {});

const MOST_CHARACTERS = 300; // what the server keeps of each

function found(status: CheckStatus, because: string, facts: Facts): Found {
  const evidence = Object.entries(facts).map(([key, value]) => ({
    key,
    value: typeof value === "string" ? value.slice(0, MOST_CHARACTERS) : value,
  }));
  return { status, because: because.slice(0, MOST_CHARACTERS), evidence };
}

/** Why, in other words: by the whole sentence, or by one with a place for something. */
export function retold(because: string, words: Record<string, string>): string {
  for (const [said, told] of Object.entries(words)) {
    const [before = "", after = ""] = said.split("{}");
    if (because === said) return told;
    if (said.includes("{}") && because.startsWith(before) && because.endsWith(after))
      return told.replace("{}", because.slice(before.length, because.length - after.length));
  }
  return because;
}

export function isWrong({ status }: { status: string }): boolean {
  return status === "fail" || status === "warn";
}

export function factOf({ evidence }: Found, key: string): string | number | boolean | undefined {
  return evidence.find((fact) => fact.key === key)?.value;
}
