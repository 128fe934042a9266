/**
 * Keeps the page's conversations together with the browser's copy, the server's and those of other
 * tabs. Draws nothing.
 */

import { useCallback, useEffect, useRef, useState, type Dispatch, type RefObject } from "react";
import type { Answering } from "./answering";
import { Refused } from "./ask";
import { exchange } from "./exchange";
import { Saver } from "./saver";
import type { ServerStore } from "./server_store";
import { currentConversation, isRunning, type Action, type Conversation, type State } from "./state";
import type { ConversationStore } from "./store";
import type { Failure } from "./stream/events";

const EXCHANGE_AGAIN_MS = 15_000; // while something is not saved on the server
const FETCH_AGAIN_MS = 3_000; // what could not be fetched

/** Where conversations are kept now; problem: why the server cannot. */
export interface Keeping {
  problem: Failure | null;
  isCopied: boolean; // false after the browser refused a write
}

/** Loads the browser's copy once, then keeps it like the page, also when the page is left. */
export function useCopy(
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

export interface Exchange {
  problem: Failure | null;
  refresh: () => Promise<void>;
  told: (telling: Promise<void>) => void; // after something was changed on the server
}

/** Exchanges with the server at the start, when the page is looked at again, and until all is saved. */
export function useExchange(
  server: ServerStore,
  { conversations }: State,
  latest: RefObject<State>,
  dispatch: Dispatch<Action>,
  isLoaded: boolean,
  onTold: () => void,
): Exchange {
  const [problem, setProblem] = useState<Failure | null>(null);
  const exchanging = useRef<Promise<void> | null>(null);
  const isWantedAgain = useRef(false);
  const isOwed = useRef(false);
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
      // of a conversation that is being answered nothing was taken over
      isOwed.current ||= latest.current.conversations.some(isAnswered);
    } catch (error) {
      refuse(error);
    }
  }, [server, latest, dispatch, refuse]);
  const exchangeAll = useCallback(async (): Promise<void> => {
    do {
      isWantedAgain.current = false;
      await exchangeOnce();
    } while (isWantedAgain.current); // what has changed meanwhile may be missing in it
    exchanging.current = null;
  }, [exchangeOnce]);
  const refresh = useCallback(() => {
    isWantedAgain.current = exchanging.current !== null;
    if (exchanging.current === null) exchanging.current = exchangeAll();
    return exchanging.current;
  }, [exchangeAll]);
  const isAnswering = conversations.some(isAnswered);
  useEffect(() => {
    if (isAnswering || !isOwed.current) return;
    isOwed.current = false;
    void refresh();
  }, [isAnswering, refresh]);
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
    (telling: Promise<void>) =>
      void telling.then(onTold, (error: unknown) => void refresh().then(() => refuse(error))),
    [onTold, refresh, refuse],
  );
  return { problem, refresh, told };
}

function isAnswered(conversation: Conversation): boolean {
  return conversation.turns.some(isRunning);
}

/** Not the store's fault: what was to be changed has been deleted elsewhere. */
const GONE = new Set(["conversation-unknown", "message-unknown"]);

/** Fetches the turns of the conversation that is open, and follows an answer that is being written. */
export function useWhole(state: State, server: ServerStore, dispatch: Dispatch<Action>, answer: Answering): void {
  const conversation = currentConversation(state);
  const id = conversation?.id;
  const version = conversation && versionToFetch(conversation);
  useEffect(() => {
    if (!id || !version) return undefined;
    let isGone = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const fetchWhole = async (): Promise<void> => {
      const { turns, streams } = await server.fetch(id);
      if (isGone) return;
      dispatch({ type: "fetched", id, turns });
      for (const [answerId, stream] of streams) void answer(id, answerId, { stream });
    };
    // meanwhile the copy is shown; the exchange says what is wrong
    const attempt = (): void => {
      fetchWhole().catch((error: unknown) => {
        if (!isGone && !(error instanceof Refused)) timer = setTimeout(attempt, FETCH_AGAIN_MS);
      });
    };
    attempt();
    return () => {
      isGone = true;
      clearTimeout(timer);
    };
  }, [id, version, server, dispatch, answer]);
}

/** Another one once the server has something newer: what was asked for before would miss it. */
function versionToFetch(it: Conversation): string | null {
  return it.isWhole || isAnswered(it) ? null : `${it.updatedAt} ${it.shown}`;
}

/** Tells the other tabs that something has changed on the server, and hears it from them. */
export function useOtherTabs(onNews: () => void): () => void {
  const channel = useRef<BroadcastChannel | null>(null);
  useEffect(() => {
    const opened = new BroadcastChannel("qwell");
    opened.addEventListener("message", onNews);
    channel.current = opened;
    return () => opened.close();
  }, [onNews]);
  return useCallback(() => channel.current?.postMessage("changed"), []);
}
