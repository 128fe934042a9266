/** Gives the server its key. The server answers with a cookie that no script can read; nothing is kept here. */

import { Refused, ask } from "./ask";

export type KeyOutcome = "works" | "wrong" | "needless" | "unreachable";

const GUARDED = "/api/conversations?limit=1";

export async function offerKey(key: string): Promise<KeyOutcome> {
  try {
    if (!(await isAsked())) return "needless";
    await fetch(`/?key=${encodeURIComponent(key)}`, { cache: "no-store" });
    return (await isAsked()) ? "wrong" : "works";
  } catch {
    return "unreachable";
  }
}

/** Whether the server wants a key that it does not have from this browser. */
async function isAsked(): Promise<boolean> {
  try {
    await ask(GUARDED, { cache: "no-store" });
    return false;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return error.reason.code === "auth-missing";
  }
}
