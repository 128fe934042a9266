/**
 * The page's actions: ask, edit, ask again, stop, rename, delete. Joins the reducer, the stream, the
 * server and the browser's copy; draws nothing.
 */

import { useCallback, useEffect, useMemo, useReducer, useRef, useState, type Dispatch, type RefObject } from "react";
import { Refused } from "./ask";
import { exchange } from "./exchange";
import { Saver } from "./saver";
import { ServerStore } from "./server_store";
import {
  canContinue,
  currentConversation,
  EMPTY,
  historyOf,
  isRunning,
  lastTurn,
  reduce,
  toMessages,
  type Action,
  type Conversation,
  type Question,
  type State,
  type Summary,
} from "./state";
import { BrowserStore, type ConversationStore } from "./store";
import { batched } from "./stream/batched";
import type { Failure, StreamEvent } from "./stream/events";
import { streamAnswer, type Running } from "./stream/stream";
import type { ChatBody, TransportName } from "./stream/transports";

const REDRAW_EVERY_MS = 40; // faster than text can be read, slow enough for a weak machine
const EXCHANGE_AGAIN_MS = 15_000; // while something is not saved on the server

/** Where conversations are kept now; problem: why the server cannot. */
export interface Keeping {
  problem: Failure | null;
  isCopied: boolean; // false after the browser refused a write
}

export interface Conversations {
  state: State;
  keeping: Keeping;
  open: (id: string | null) => void;
  openHit: (hit: Summary, turnId: string | null) => void;
  rename: (id: string, title: string) => void;
  remove: (id: string) => void;
  restore: (conversation: Conversation) => void;
  show: (turnId: string) => void;
  ask: (content: string) => void;
  edit: (questionId: string, content: string) => void;
  askAgain: (answerId: string) => void;
  stop: () => void;
  refresh: () => void;
}

export function useConversations(
  browser: ConversationStore = browserStore,
  server: ServerStore = serverStore,
): Conversations {
  const [state, dispatch] = useReducer(reduce, EMPTY);
  const latest = useRef(state);
  useEffect(() => {
    latest.current = state;
  }, [state]);
  const { isLoaded, isCopied } = useCopy(state.conversations, browser, dispatch);
  const { problem, refresh, told } = useExchange(server, latest, dispatch, isLoaded);
  const { answer, stop } = useAnswers(dispatch);
  useWhole(state, server, dispatch, answer);

  const actions = useMemo(() => {
    const begin = async (conversation: Conversation | undefined, question: Question): Promise<void> => {
      if (conversation?.isUnsaved) await refresh(); // the server must know what the question follows
      const conversationId = conversation?.id ?? newId();
      const answerId = newId();
      dispatch({ type: "asked", conversationId, question, answerId, at: Date.now() });
      const history = historyOf(conversation?.turns ?? [], question);
      const ids = { parent: question.parent, question: question.id, answer: answerId };
      await answer(conversationId, answerId, {
        conversation: conversationId,
        ...ids,
        messages: toMessages(history),
      });
    };
    /** The conversation, when a question may be asked in it now. */
    const ready = (): Conversation | undefined | false => {
      const conversation = currentConversation(latest.current);
      return canContinue(conversation) && !isRunning(lastTurn(conversation)) && conversation;
    };
    return {
      open: (id: string | null) => dispatch({ type: "opened", id }),
      openHit: (hit: Summary, turnId: string | null) => {
        dispatch({ type: "listed", summaries: [hit] });
        dispatch({ type: "opened", id: hit.id });
        if (turnId !== null) dispatch({ type: "showed", id: hit.id, turnId });
      },
      rename: (id: string, title: string) => {
        dispatch({ type: "renamed", id, title });
        told(server.change(id, { title }));
      },
      restore: (conversation: Conversation) => {
        dispatch({ type: "restored", conversation });
        told(server.restore(conversation.id));
      },
      remove: (id: string) => {
        stop(id);
        dispatch({ type: "deleted", ids: [id] });
        told(server.remove(id));
      },
      show: (turnId: string) => {
        const conversation = currentConversation(latest.current);
        if (!conversation) return;
        const shown = reduce(latest.current, { type: "showed", id: conversation.id, turnId });
        dispatch({ type: "showed", id: conversation.id, turnId });
        const current = currentConversation(shown)?.shown;
        if (current) told(server.change(conversation.id, { current }));
      },
      ask: (content: string) => {
        const conversation = ready();
        if (conversation === false) return;
        void begin(conversation, { id: newId(), parent: conversation?.shown ?? null, role: "user", content });
      },
      edit: (questionId: string, content: string) => {
        const conversation = ready();
        const old = conversation && conversation.turns.find(({ id }) => id === questionId);
        if (old) void begin(conversation, { id: newId(), parent: old.parent, role: "user", content });
      },
      askAgain: (answerId: string) => {
        const conversation = ready();
        if (!conversation) return;
        const old = conversation.turns.find(({ id }) => id === answerId);
        const question = conversation.turns.find(({ id }) => id === old?.parent);
        if (question?.role === "user") void begin(conversation, question);
      },
      stop: () => stop(latest.current.currentId),
    };
  }, [answer, refresh, server, stop, told]);

  return { state, keeping: { problem, isCopied }, refresh: () => void refresh(), ...actions };
}

const browserStore = new BrowserStore();
const serverStore = new ServerStore();

type Answering = (conversationId: string, answerId: string, begin: ChatBody | Running) => Promise<void>;

/** Follows answers, one in each conversation at a time. */
function useAnswers(dispatch: Dispatch<Action>): { answer: Answering; stop: (id: string | null) => void } {
  const running = useRef(new Map<string, AbortController>()); // by conversation
  const working = useRef<TransportName>("websocket");
  const answer = useCallback<Answering>(
    async (conversationId, answerId, begin) => {
      const abort = new AbortController();
      running.current.set(conversationId, abort);
      const events = streamAnswer(begin, {
        signal: abort.signal,
        order: orderFrom(working.current),
        onTransport: (name) => (working.current = name),
      });
      await inBatches(events, (batch) =>
        dispatch({ type: "received", conversationId, answerId, events: batch, at: Date.now() }),
      );
      if (running.current.get(conversationId) === abort) running.current.delete(conversationId);
    },
    [dispatch],
  );
  const stop = useCallback((id: string | null) => {
    if (id !== null) running.current.get(id)?.abort();
  }, []);
  return { answer, stop };
}

async function inBatches(
  events: AsyncIterable<StreamEvent>,
  take: (batch: readonly StreamEvent[]) => void,
): Promise<void> {
  for await (const batch of batched(events, REDRAW_EVERY_MS)) take(batch);
}

/** Loads the browser's copy once, then keeps it like the page, also when the page is left. */
function useCopy(
  conversations: readonly Conversation[],
  browser: ConversationStore,
  dispatch: Dispatch<Action>,
): { isLoaded: boolean; isCopied: boolean } {
  const [isLoaded, setIsLoaded] = useState(false);
  const [isCopied, setIsCopied] = useState(true);
  const saver = useRef<Saver | null>(null); // null until what is stored has been read
  useEffect(() => {
    const load = async (): Promise<void> => {
      const stored = await browser.list();
      saver.current = new Saver(browser, stored, setIsCopied);
      dispatch({ type: "loaded", conversations: stored });
    };
    load()
      .catch(() => setIsCopied(false))
      .finally(() => setIsLoaded(true));
    const leave = (): void => saver.current?.flush();
    addEventListener("pagehide", leave);
    return () => removeEventListener("pagehide", leave);
  }, [browser, dispatch]);
  useEffect(() => saver.current?.push(conversations), [conversations]);
  return { isLoaded, isCopied };
}

interface Exchange {
  problem: Failure | null;
  refresh: () => Promise<void>;
  told: (telling: Promise<void>) => void; // after something was changed on the server
}

/** Exchanges with the server at the start, when the page is looked at again, and until all is saved. */
function useExchange(
  server: ServerStore,
  latest: RefObject<State>,
  dispatch: Dispatch<Action>,
  isLoaded: boolean,
): Exchange {
  const [problem, setProblem] = useState<Failure | null>(null);
  const exchanging = useRef<Promise<void> | null>(null);
  const refuse = useCallback((error: unknown) => {
    // where the server is away, the page says so elsewhere
    if (error instanceof Refused && !GONE.has(error.reason.code)) setProblem(error.reason);
  }, []);
  const exchangeOnce = useCallback(async (): Promise<void> => {
    try {
      const news = await exchange(server, latest.current.conversations);
      dispatch({ type: "saved", ids: news.saved });
      dispatch({ type: "deleted", ids: news.deleted });
      dispatch({ type: "listed", summaries: news.summaries });
      setProblem(null);
    } catch (error) {
      refuse(error);
    } finally {
      exchanging.current = null;
    }
  }, [server, latest, dispatch, refuse]);
  const refresh = useCallback(() => {
    if (exchanging.current === null) exchanging.current = exchangeOnce();
    return exchanging.current;
  }, [exchangeOnce]);
  useEffect(() => {
    if (!isLoaded) return undefined;
    const look = (): void => {
      if (document.visibilityState === "visible") void refresh();
    };
    const again = setInterval(() => {
      if (latest.current.conversations.some((it) => it.isUnsaved)) look();
    }, EXCHANGE_AGAIN_MS);
    document.addEventListener("visibilitychange", look);
    void refresh();
    return () => {
      clearInterval(again);
      document.removeEventListener("visibilitychange", look);
    };
  }, [isLoaded, latest, refresh]);
  /** What could not be told is seen again as it is on the server. */
  const told = useCallback(
    (telling: Promise<void>) => void telling.catch((error: unknown) => void refresh().then(() => refuse(error))),
    [refresh, refuse],
  );
  return { problem, refresh, told };
}

/** Not the store's fault: what was to be changed has been deleted elsewhere. */
const GONE = new Set(["conversation-unknown", "message-unknown"]);

/** Fetches the turns of the conversation that is open, and follows an answer that is being written. */
function useWhole(state: State, server: ServerStore, dispatch: Dispatch<Action>, answer: Answering): void {
  const conversation = currentConversation(state);
  const id = conversation && !conversation.isWhole ? conversation.id : null;
  useEffect(() => {
    if (id === null) return undefined;
    let isGone = false;
    const fetchWhole = async (): Promise<void> => {
      const { turns, streams } = await server.fetch(id);
      if (isGone) return;
      dispatch({ type: "fetched", id, turns });
      for (const [answerId, stream] of streams) void answer(id, answerId, { stream });
    };
    fetchWhole().catch(() => undefined); // the copy stays; the exchange says what is wrong
    return () => {
      isGone = true;
    };
  }, [id, server, dispatch, answer]);
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
