/** One case while it is on the screen: sends turns, follows them, watches for what a person does. Draws nothing. */

import { useCallback, useEffect, useReducer, useRef, useState } from "react";
import { Refused } from "../ask";
import { failure as failureOf, type Failure } from "../stream/events";
import { NO_CASE, withEvent, type CaseView } from "./case_view";
import type { Finding } from "./findings";
import type { SupportEvent } from "./support_events";
import { fetchCase, follow, takeTurn, type TurnBody } from "./support_stream";

export interface CaseControl {
  view: CaseView;
  busy: "no" | "turn" | "watch"; // a turn that only watches gives way to any other
  pending: string | null; // what was sent and is not yet heard
  failure: Failure | null;
  /** evidence: what goes with it and is not there yet. */
  send: (turn: TurnBody, evidence?: Promise<readonly Finding[]>) => void;
  retry: (() => void) | undefined;
  open: (id: string) => void;
  restart: () => void;
}

export const LOST = "connection-lost"; // the page's own word: no server said it
const MOST_WATCHES = 30; // of two minutes each
const SHORTEST_WATCH_MS = 1_000;
const LOST_WATCH_MS = 3_000; // a repair may cut the connection: it is looked at again by itself

type Action = { type: "event"; event: SupportEvent } | { type: "reset"; events: readonly SupportEvent[] };

function reduce(view: CaseView, action: Action): CaseView {
  return action.type === "event" ? withEvent(view, action.event) : action.events.reduce(withEvent, NO_CASE);
}

/** onId: the case has a name now, or (null) is no longer shown. */
export function useCase(language: "zh" | "en", onId: (id: string | null) => void): CaseControl {
  const [view, dispatch] = useReducer(reduce, NO_CASE);
  const [busy, setBusy] = useState<CaseControl["busy"]>("no");
  const [pending, setPending] = useState<string | null>(null);
  const [failed, setFailed] = useState<{ failure: Failure; turn: TurnBody | null } | null>(null);
  const reading = useRef(new AbortController());
  const id = useRef<string | null>(null);
  const watches = useRef(0);
  const tell = useRef(onId);
  useEffect(() => {
    tell.current = onId;
  }, [onId]);

  const read = useCallback(
    async (turn: TurnBody | null, events: (signal: AbortSignal) => AsyncGenerator<SupportEvent, void, undefined>) => {
      reading.current.abort();
      const abort = new AbortController();
      reading.current = abort;
      const isWatch = turn?.choice === "watch";
      const began = performance.now();
      setBusy(isWatch ? "watch" : "turn");
      setFailed(null);
      if (!isWatch) setPending(turn?.text || null);
      try {
        for await (const event of events(abort.signal)) {
          if (abort.signal.aborted) return;
          if (event.type === "case" && id.current !== event.case) {
            id.current = event.case;
            tell.current(event.case);
          }
          if (event.type === "heard") setPending(null);
          dispatch({ type: "event", event });
        }
      } catch (error) {
        if (abort.signal.aborted) return;
        const reason = error instanceof Refused ? error.reason : failureOf(LOST);
        setFailed({ failure: reason, turn });
      }
      // where no check can see the fault there is nothing to wait for
      if (isWatch && performance.now() - began < SHORTEST_WATCH_MS) watches.current = MOST_WATCHES;
      setBusy("no");
    },
    [],
  );

  const send = useCallback(
    (turn: TurnBody, evidence?: Promise<readonly Finding[]>) => {
      if (turn.choice !== "watch") watches.current = 0;
      const whole = { lang: language, ...turn, case: id.current };
      void read(whole, async function* (signal) {
        const findings = (await evidence) ?? [];
        yield* takeTurn({ ...whole, ...(findings.length > 0 && { findings }) }, { signal });
      });
    },
    [language, read],
  );

  const open = useCallback(
    (wanted: string) => {
      reading.current.abort();
      setPending(null);
      setFailed(null);
      setBusy("turn");
      fetchCase(wanted).then(
        (whole) => {
          id.current = wanted;
          tell.current(wanted);
          dispatch({ type: "reset", events: whole.events });
          if (whole.running) return read(null, (signal) => follow(wanted, whole.next, { signal }));
          return setBusy("no");
        },
        (error: unknown) => {
          setBusy("no");
          setFailed({ failure: error instanceof Refused ? error.reason : failureOf(LOST), turn: null });
        },
      );
    },
    [read],
  );

  const restart = useCallback(() => {
    reading.current.abort();
    id.current = null;
    tell.current(null);
    setBusy("no");
    setPending(null);
    setFailed(null);
    dispatch({ type: "reset", events: [] });
  }, []);

  useEffect(() => () => reading.current.abort(), []);
  const isWatchLost = failed?.failure.code === LOST && failed.turn?.choice === "watch";
  useEffect(() => {
    if (!isWatchLost || busy !== "no") return undefined;
    const timer = setTimeout(() => send({ choice: "watch" }), LOST_WATCH_MS);
    return () => clearTimeout(timer);
  }, [isWatchLost, busy, send]);
  useEffect(() => {
    if (view.state !== "watching" || busy !== "no" || failed || watches.current >= MOST_WATCHES) return;
    watches.current += 1;
    send({ choice: "watch" });
  }, [view.state, busy, failed, send]);

  const lastTurn = failed?.turn;
  const retry = useCallback(() => {
    if (lastTurn) void read(lastTurn, (signal) => takeTurn(lastTurn, { signal }));
    else if (id.current !== null) open(id.current);
  }, [lastTurn, open, read]);
  return { view, busy, pending, failure: failed?.failure ?? null, send, retry: failed ? retry : undefined, open, restart };
}
