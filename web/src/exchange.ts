/** Brings the browser's copy and the server's conversations together. Knows no page. */

import { LISTED, type ServerStore } from "./server_store";
import { isRunning, type Conversation, type Summary } from "./state";

/** What an exchange has brought. */
export interface News {
  summaries: readonly Summary[];
  saved: readonly string[]; // conversations that the server has now
  deleted: readonly string[]; // those that were deleted elsewhere
}

type Server = Pick<ServerStore, "list" | "bring">;

/**
 * Lists what the server has, and gives it what it misses: what could not be saved, what older pages
 * kept in the browser only, everything after its database was lost. Throws what the server throws.
 */
export async function exchange(server: Server, local: readonly Conversation[]): Promise<News> {
  const before = await server.list();
  const missed = local.filter((it) => !it.turns.some(isRunning) && isMissed(it, before));
  if (missed.length === 0) return { summaries: before, saved: [], deleted: [] };
  // what was said here since it was deleted elsewhere is not thrown away
  const outcomes = {
    ...(await server.bring(missed.filter((it) => !it.isUnsaved), "keep")),
    ...(await server.bring(missed.filter((it) => it.isUnsaved), "revive")),
  };
  const ids = Object.keys(outcomes);
  return {
    summaries: await server.list(),
    saved: ids.filter((id) => outcomes[id] !== "deleted" && outcomes[id] !== "refused"),
    deleted: ids.filter((id) => outcomes[id] === "deleted"),
  };
}

function isMissed(it: Conversation, listed: readonly Summary[]): boolean {
  if (it.isUnsaved) return true;
  if (listed.some(({ id }) => id === it.id)) return false;
  const oldest = listed.at(-1)?.updatedAt ?? 0;
  const mayBeFurtherDown = listed.length >= LISTED && it.updatedAt <= oldest;
  return it.turns.length > 0 && !mayBeFurtherDown;
}
