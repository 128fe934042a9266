/**
 * The page's actions: ask, edit, ask again, go on, stop, rename, delete. Joins the reducer, the stream,
 * the server and the browser's copy; draws nothing.
 */

import { useCallback, useEffect, useMemo, useReducer, useRef, type Dispatch, type RefObject } from "react";
import { useAnswers, type Answering, type TransportChoice } from "./answering";
import { Refused } from "./ask";
import { useCopy, useExchange, useOtherTabs, useWhole, type Exchange, type Keeping } from "./keeping";
import { spokenLanguage } from "./language";
import { usePlace } from "./place";
import { ServerStore } from "./server_store";
import { isPlain, type AnswerSettings, type Sampling } from "./settings";
import {
  canContinue,
  currentConversation,
  EMPTY,
  historyOf,
  isRunning,
  lastTurn,
  reduce,
  titleOf,
  toMessages,
  type Action,
  type Answer,
  type Conversation,
  type Question,
  type State,
  type Summary,
} from "./state";
import { BrowserStore, type ConversationStore } from "./store";
import type { ChatBody } from "./stream/transports";

export interface Actions {
  open: (id: string | null) => void;
  openHit: (hit: Summary, turnId: string | null) => void;
  rename: (id: string, title: string) => void;
  tune: (id: string, settings: AnswerSettings) => void;
  remove: (id: string) => void;
  restore: (conversation: Conversation) => void;
  show: (turnId: string) => void;
  ask: (content: string) => void;
  edit: (questionId: string, content: string) => void;
  /** sampling: other than the conversation's, for this answer. */
  askAgain: (answerId: string, sampling?: Sampling) => void;
  /** With an answer that was cut: as a new version of it. */
  goOn: (answerId: string) => void;
  stop: () => void;
  refresh: () => void;
  /** The server is there again: what was lost meanwhile is fetched. */
  reconnect: () => void;
}

export interface Conversations {
  state: State;
  keeping: Keeping;
  actions: Actions; // always the same
}

interface Choices {
  transport: TransportChoice;
  defaults: AnswerSettings; // of new conversations
  onMissing: () => void; // a link named a conversation that is not there; always the same
}

export function useConversations(
  { transport, defaults, onMissing }: Choices,
  browser: ConversationStore = browserStore,
  server: ServerStore = serverStore,
): Conversations {
  const [state, dispatch] = useReducer(reduce, EMPTY);
  const latest = useLatest(state);
  const { isLoaded, isCopied } = useCopy(state.conversations, browser, dispatch);
  const news = useRef<() => void>(() => undefined);
  const announce = useOtherTabs(useCallback(() => news.current(), []));
  const exchange = useExchange(server, state, latest, dispatch, isLoaded, announce);
  const { refresh } = exchange;
  useEffect(() => {
    news.current = () => document.visibilityState === "visible" && void refresh();
  }, [refresh]);
  const { answer, stop } = useAnswers(transport, dispatch, announce);
  useWhole(state, server, dispatch, answer);
  const visit = useVisit(latest, server, dispatch, onMissing);
  usePlace(state.currentId, isLoaded, visit);
  const chosen = useLatest(defaults);
  const actions = useActions({ latest, chosen, server, dispatch, answer, stop, exchange });
  return { state, keeping: { problem: exchange.problem, isCopied }, actions };
}

const browserStore = new BrowserStore();
const serverStore = new ServerStore();

function useLatest<T>(value: T): RefObject<T> {
  const latest = useRef(value);
  useEffect(() => {
    latest.current = value;
  }, [value]);
  return latest;
}

/** Opens what a link names; one that only the server has is asked for. */
function useVisit(
  latest: RefObject<State>,
  server: ServerStore,
  dispatch: Dispatch<Action>,
  onMissing: () => void,
): (id: string | null) => void {
  return useCallback(
    (id) => {
      dispatch({ type: "opened", id });
      if (id === null || latest.current.conversations.some((it) => it.id === id)) return;
      server.summary(id).then(
        (summary) => dispatch({ type: "listed", summaries: [summary] }),
        (error: unknown) => {
          if (!(error instanceof Refused)) return; // the exchange lists it when the server is there again
          dispatch({ type: "opened", id: null });
          onMissing();
        },
      );
    },
    [latest, server, dispatch, onMissing],
  );
}

interface Means {
  latest: RefObject<State>;
  chosen: RefObject<AnswerSettings>;
  server: ServerStore;
  dispatch: Dispatch<Action>;
  answer: Answering;
  stop: (id: string | null) => void;
  exchange: Exchange;
}

function useActions({ latest, chosen, server, dispatch, answer, stop, exchange }: Means): Actions {
  const { refresh, told } = exchange;
  const asking = useAsking({ latest, chosen, server, dispatch, answer, refresh });
  return useMemo(
    () => ({
      ...asking,
      open: (id) => dispatch({ type: "opened", id }),
      openHit: (hit, turnId) => {
        dispatch({ type: "listed", summaries: [hit] });
        dispatch({ type: "opened", id: hit.id });
        if (turnId !== null) dispatch({ type: "showed", id: hit.id, turnId });
      },
      rename: (id, title) => {
        dispatch({ type: "renamed", id, title });
        told(server.change(id, { title }));
      },
      tune: (id, settings) => {
        dispatch({ type: "tuned", id, settings });
        told(server.change(id, { settings }));
      },
      restore: (conversation) => {
        dispatch({ type: "restored", conversation });
        told(server.restore(conversation.id));
      },
      remove: (id) => {
        stop(id);
        dispatch({ type: "deleted", ids: [id] });
        told(server.remove(id));
      },
      show: (turnId) => {
        const conversation = currentConversation(latest.current);
        if (!conversation) return;
        const shown = reduce(latest.current, { type: "showed", id: conversation.id, turnId });
        dispatch({ type: "showed", id: conversation.id, turnId });
        const current = currentConversation(shown)?.shown;
        if (current) told(server.change(conversation.id, { current }));
      },
      stop: () => stop(latest.current.currentId),
      refresh: () => void refresh(),
      reconnect: () => {
        // first it is given what it never had: that could not be fetched
        void refresh().then(() => dispatch({ type: "reachable" }));
      },
    }),
    [asking, dispatch, latest, refresh, server, stop, told],
  );
}

type Asking = Pick<Actions, "ask" | "edit" | "askAgain" | "goOn">;
type AskingMeans = Omit<Means, "exchange" | "stop"> & Pick<Exchange, "refresh">;

function useAsking({ latest, chosen, server, dispatch, answer, refresh }: AskingMeans): Asking {
  return useMemo(() => {
    const begin = async (asked: Asked): Promise<void> => {
      const { conversation, question } = asked;
      const settings = conversation?.settings ?? chosen.current;
      const conversationId = conversation?.id ?? newId();
      const answerId = newId();
      // the server must know what the question follows, and what it is asked with
      if (conversation?.isUnsaved) await refresh();
      dispatch({ type: "asked", conversationId, question, answerId, settings, at: Date.now() });
      if (!conversation && !isPlain(settings)) {
        await server.create(conversationId, titleOf(question.content), settings).catch(() => undefined);
      }
      const ids = { parent: question.parent, question: question.id, answer: answerId };
      await answer(conversationId, answerId, {
        conversation: conversationId,
        ...ids,
        ...bodyOf(asked, settings),
      });
    };
    /** The conversation, when a question may be asked in it now. */
    const ready = (): Conversation | undefined | false => {
      const conversation = currentConversation(latest.current);
      return canContinue(conversation) && !isRunning(lastTurn(conversation)) && conversation;
    };
    const answerTo = (answerId: string, how: (old: Answer) => Partial<Asked>): void => {
      const conversation = ready();
      if (!conversation) return;
      const old = conversation.turns.find(({ id }) => id === answerId);
      const question = conversation.turns.find(({ id }) => id === old?.parent);
      if (question?.role !== "user" || old?.role !== "assistant") return;
      void begin({ conversation, question, ...how(old) });
    };
    return {
      ask: (content) => {
        const conversation = ready();
        if (conversation === false) return;
        const parent = conversation?.shown ?? null;
        void begin({ conversation, question: { id: newId(), parent, role: "user", content } });
      },
      edit: (questionId, content) => {
        const conversation = ready();
        const old = conversation && conversation.turns.find(({ id }) => id === questionId);
        if (!old) return;
        void begin({ conversation, question: { id: newId(), parent: old.parent, role: "user", content } });
      },
      askAgain: (answerId, sampling = {}) => answerTo(answerId, () => ({ sampling })),
      goOn: (answerId) => answerTo(answerId, ({ content }) => ({ begun: content })),
    };
  }, [answer, chosen, dispatch, latest, refresh, server]);
}

interface Asked {
  conversation: Conversation | undefined;
  question: Question;
  sampling?: Sampling; // other than the conversation's
  begun?: string; // what is said of the answer already
}

/** What the model is asked. The server takes the history from its store, and this where that is broken. */
function bodyOf({ conversation, question, sampling, begun }: Asked, settings: AnswerSettings): ChatBody {
  const history = toMessages(historyOf(conversation?.turns ?? [], question));
  const system = settings.system.trim() === "" ? [] : [{ role: "system" as const, content: settings.system }];
  const said = begun === undefined ? [] : [{ role: "assistant" as const, content: begun }];
  return {
    messages: [...system, ...newest(history), ...said],
    sampling: { ...settings.sampling, ...sampling },
    lang: spokenLanguage(), // of what the server has to say about the answer
    ...(settings.max_tokens !== null && { max_tokens: settings.max_tokens }),
    ...(begun !== undefined && { continue_last: true }),
  };
}

const MOST_MESSAGES = 200;
const MOST_CHARACTERS = 200_000; // far beyond every context, far below what the server takes

/** The end of a long history; always the question itself. */
function newest<T extends { content: string }>(messages: readonly T[]): readonly T[] {
  let room = MOST_CHARACTERS;
  const recent = messages.slice(-MOST_MESSAGES);
  const first = recent.findLastIndex(({ content }) => (room -= content.length) < 0) + 1;
  return recent.slice(Math.min(first, recent.length - 1));
}

/** crypto.randomUUID exists on HTTPS and localhost only; a home server often has neither. */
function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
