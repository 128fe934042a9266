/** Follows answers while they are written, one in each conversation at a time. Draws nothing. */

import { useCallback, useEffect, useRef, type Dispatch } from "react";
import { lookQuietly } from "./doctor/quietly";
import type { Action } from "./state";
import { batched } from "./stream/batched";
import { isTerminal, type StreamEvent } from "./stream/events";
import { streamAnswer, type Running } from "./stream/stream";
import type { ChatBody, TransportName } from "./stream/transports";
import { noticeTrouble } from "./trouble";

export const TRANSPORT_CHOICES = ["auto", "websocket", "sse", "poll"] as const;
export type TransportChoice = (typeof TRANSPORT_CHOICES)[number];

const REDRAW_EVERY_MS = 60; // faster than text can be read, slow enough for a weak machine
const REDRAW_HIDDEN_MS = 500; // nobody looks

export type Answering = (conversationId: string, answerId: string, begin: ChatBody | Running) => Promise<void>;

interface Answers {
  answer: Answering;
  stop: (id: string | null) => void; // the answer in this conversation
}

/** onChange: the server has something new of a conversation. */
export function useAnswers(choice: TransportChoice, dispatch: Dispatch<Action>, onChange: () => void): Answers {
  const running = useRef(new Map<string, AbortController>()); // by conversation
  const working = useRef<TransportName>("websocket");
  const chosen = useRef(choice);
  useEffect(() => {
    chosen.current = choice;
  }, [choice]);
  const answer = useCallback<Answering>(
    async (conversationId, answerId, begin) => {
      const abort = new AbortController();
      running.current.set(conversationId, abort);
      const events = streamAnswer(begin, {
        signal: abort.signal,
        order: orderOf(chosen.current, working.current),
        onTransport: (name) => (working.current = name),
        onLost: noticeTrouble,
      });
      await inBatches(events, (batch, isFirst) => {
        dispatch({ type: "received", conversationId, answerId, events: batch, at: Date.now() });
        if (isFirst || batch.some(isTerminal)) onChange();
        if (batch.some(({ type }) => type === "error")) {
          noticeTrouble();
          lookQuietly();
        }
      });
      if (running.current.get(conversationId) === abort) running.current.delete(conversationId);
    },
    [dispatch, onChange],
  );
  const stop = useCallback((id: string | null) => {
    if (id !== null) running.current.get(id)?.abort();
  }, []);
  return { answer, stop };
}

async function inBatches(
  events: AsyncIterable<StreamEvent>,
  take: (batch: readonly StreamEvent[], isFirst: boolean) => void,
): Promise<void> {
  let isFirst = true;
  for await (const batch of batched(events, redrawEvery)) {
    take(batch, isFirst);
    isFirst = false;
  }
}

function redrawEvery(): number {
  return document.visibilityState === "visible" ? REDRAW_EVERY_MS : REDRAW_HIDDEN_MS;
}

/** What was chosen, and nothing else: whoever chooses wants to see whether it works. */
export function orderOf(choice: TransportChoice, working: TransportName): readonly TransportName[] {
  return choice === "auto" ? orderFrom(working) : [choice];
}

/** The transport that worked last comes first. */
export function orderFrom(first: TransportName): readonly TransportName[] {
  const all: readonly TransportName[] = ["websocket", "sse", "poll"];
  return [first, ...all.filter((name) => name !== first)];
}
