/**
 * The page's actions: ask, ask again, stop, rename, delete. Joins the reducer, the stream and the
 * store; draws nothing.
 */

import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from "react";
import {
  currentConversation,
  EMPTY,
  historyBefore,
  isRunning,
  reduce,
  toMessages,
  type Conversation,
  type State,
  type Turn,
} from "./state";
import { Saver } from "./saver";
import { BrowserStore, type ConversationStore } from "./store";
import { batched } from "./stream/batched";
import { streamAnswer } from "./stream/stream";
import type { TransportName } from "./stream/transports";

const REDRAW_EVERY_MS = 40; // faster than text can be read, slow enough for a weak machine

export interface Conversations {
  state: State;
  isStored: boolean; // false after storage refused a write
  open: (id: string | null) => void;
  rename: (id: string, title: string) => void;
  remove: (id: string) => void;
  restore: (conversation: Conversation) => void;
  ask: (content: string) => void;
  askAgain: (answerId: string) => void;
  stop: () => void;
}

export function useConversations(store: ConversationStore = browserStore): Conversations {
  const [state, dispatch] = useReducer(reduce, EMPTY);
  const load = useCallback(
    (conversations: readonly Conversation[]) => dispatch({ type: "loaded", conversations }),
    [],
  );
  const isStored = useStored(state.conversations, store, load);
  const running = useRef(new Map<string, AbortController>()); // by conversation
  const working = useRef<TransportName>("websocket");
  const latest = useRef(state);
  useEffect(() => {
    latest.current = state;
  }, [state]);

  const answer = useCallback(
    async (conversationId: string, answerId: string, history: readonly Turn[]): Promise<void> => {
      const abort = new AbortController();
      running.current.set(conversationId, abort);
      const events = streamAnswer(
        { messages: toMessages(history) },
        {
          signal: abort.signal,
          order: orderFrom(working.current),
          onTransport: (name) => (working.current = name),
        },
      );
      for await (const batch of batched(events, REDRAW_EVERY_MS)) {
        dispatch({ type: "received", conversationId, answerId, events: batch, at: Date.now() });
      }
      if (running.current.get(conversationId) === abort) running.current.delete(conversationId);
    },
    [],
  );

  const actions = useMemo(() => {
    const stop = (id: string | null): void => {
      if (id !== null) running.current.get(id)?.abort();
    };
    return {
      open: (id: string | null) => dispatch({ type: "opened", id }),
      rename: (id: string, title: string) => dispatch({ type: "renamed", id, title }),
      restore: (conversation: Conversation) => dispatch({ type: "restored", conversation }),
      remove: (id: string) => {
        stop(id);
        dispatch({ type: "deleted", id });
      },
      ask: (content: string) => {
        const conversation = currentConversation(latest.current);
        if (isRunning(conversation?.turns.at(-1))) return;
        const conversationId = conversation?.id ?? newId();
        const question = { id: newId(), role: "user" as const, content };
        const answerId = newId();
        dispatch({ type: "asked", conversationId, question, answerId, at: Date.now() });
        void answer(conversationId, answerId, [...(conversation?.turns ?? []), question]);
      },
      askAgain: (answerId: string) => {
        const conversation = currentConversation(latest.current);
        if (!conversation || isRunning(conversation.turns.at(-1))) return;
        const conversationId = conversation.id;
        dispatch({ type: "asked again", conversationId, answerId, at: Date.now() });
        void answer(conversationId, answerId, historyBefore(conversation, answerId));
      },
      stop: () => stop(latest.current.currentId),
    };
  }, [answer]);

  return { state, isStored, ...actions };
}

const browserStore = new BrowserStore();

/** Loads once, then saves what changed, also when the page is left. False once a write was refused. */
function useStored(
  conversations: readonly Conversation[],
  store: ConversationStore,
  onLoaded: (conversations: readonly Conversation[]) => void,
): boolean {
  const [isStored, setIsStored] = useState(true);
  const saver = useRef<Saver | null>(null); // null until what is stored has been read
  useEffect(() => {
    const load = async (): Promise<void> => {
      const stored = await store.list();
      saver.current = new Saver(store, stored, setIsStored);
      onLoaded(stored);
    };
    load().catch(() => setIsStored(false));
    const leave = (): void => saver.current?.flush();
    addEventListener("pagehide", leave);
    return () => removeEventListener("pagehide", leave);
  }, [store, onLoaded]);
  useEffect(() => saver.current?.push(conversations), [conversations]);
  return isStored;
}

/** The transport that worked last comes first. */
export function orderFrom(first: TransportName): readonly TransportName[] {
  const all: readonly TransportName[] = ["websocket", "sse", "poll"];
  return [first, ...all.filter((name) => name !== first)];
}

/** crypto.randomUUID exists on HTTPS and localhost only; a home server often has neither. */
function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
