/** What the list shows of conversations, the same object while none of it changes. */

import { useMemo } from "react";
import type { Conversation } from "./state";

/** What the list shows of a conversation. */
export type Listed = Pick<Conversation, "id" | "title" | "updatedAt">;

export function useListed(conversations: readonly Conversation[]): readonly Listed[] {
  const text = JSON.stringify(conversations.map(({ id, title, updatedAt }) => ({ id, title, updatedAt })));
  return useMemo(() => JSON.parse(text) as Listed[], [text]);
}
