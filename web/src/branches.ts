/**
 * The tree of a conversation's turns: the branch that is shown, and versions of one turn.
 *
 * Turns come after their parents. Pure functions; knows nothing of drawing or of storage.
 */

import type { Conversation, Turn } from "./state";

type Tree = Pick<Conversation, "turns" | "shown">;

/** From the first turn down to the one that is shown last. */
export function shownTurns(conversation: Tree): readonly Turn[] {
  return branchTo(conversation.turns, conversation.shown);
}

/** From the first turn down to this one; empty for null or an unknown id. */
export function branchTo(turns: readonly Turn[], id: string | null): readonly Turn[] {
  const byId = new Map(turns.map((turn) => [turn.id, turn]));
  const branch: Turn[] = [];
  for (let turn = byId.get(id ?? ""); turn; turn = byId.get(turn.parent ?? "")) branch.push(turn);
  return branch.toReversed();
}

/** Where one arrives below a turn by always taking the newest version. */
export function leafBelow(turns: readonly Turn[], id: string): string {
  const child = turns.findLast((turn) => turn.parent === id);
  return child ? leafBelow(turns, child.id) : id;
}

export interface Versions {
  at: number; // from 1
  count: number;
  previous: string | null;
  next: string | null;
}

/** This turn among those that stand in its place; null when it is alone. */
export function versionsOf(turns: readonly Turn[], turn: Turn): Versions | null {
  const all = turns.filter((it) => it.parent === turn.parent && it.role === turn.role);
  if (all.length < 2) return null;
  const at = all.indexOf(turn);
  return {
    at: at + 1,
    count: all.length,
    previous: all[at - 1]?.id ?? null,
    next: all[at + 1]?.id ?? null,
  };
}
