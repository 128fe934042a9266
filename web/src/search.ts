/** Finds conversations: at once in what the browser has, then on the server. Draws nothing. */

import { useEffect, useMemo, useState } from "react";
import { ServerStore, type Hit } from "./server_store";
import type { Conversation } from "./state";

const TYPING_MS = 200; // nobody wants the hits of half a word
const RADIUS = 40; // characters shown around a hit

const server = new ServerStore();

/** null while nothing is looked for. all: what the browser has, looked at when the query changes. */
export function useSearch(query: string, all: () => readonly Conversation[]): readonly Hit[] | null {
  const wanted = query.trim();
  const [found, setFound] = useState<{ query: string; hits: readonly Hit[] } | null>(null);
  useEffect(() => {
    if (wanted === "") return undefined;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      server.find(wanted, abort.signal).then(
        (hits) => setFound({ query: wanted, hits }),
        () => undefined, // what the browser has stays
      );
    }, TYPING_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [wanted]);
  const local = useMemo(() => findLocally(wanted, all()), [wanted, all]);
  if (wanted === "") return null;
  return found?.query === wanted ? found.hits : local;
}

/** Conversations with every word of the query in their title or in one turn. */
export function findLocally(query: string, conversations: readonly Conversation[]): Hit[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const has = (text: string): boolean => words.every((word) => text.toLowerCase().includes(word));
  return conversations.flatMap((it): Hit[] => {
    const turn = it.turns.findLast(({ content }) => has(content));
    if (!turn && !has(it.title)) return [];
    const { id, title, updatedAt, shown, settings } = it;
    const excerpt = turn ? around(turn.content, words[0] ?? "") : "";
    return [{ id, title, updatedAt, shown, settings, turnId: turn?.id ?? null, excerpt }];
  });
}

function around(content: string, word: string): string {
  const text = content.replaceAll(/\s+/g, " ");
  const at = Math.max(0, text.toLowerCase().indexOf(word) - RADIUS);
  const end = at + 2 * RADIUS;
  return `${at > 0 ? "…" : ""}${text.slice(at, end)}${end < text.length ? "…" : ""}`;
}
