/**
 * One answer as one sequence of events, whatever happens to the connection. Knows nothing of the
 * page; transports know nothing of each other.
 */

import { Refused } from "../ask";
import { failure, isTerminal, ProtocolError, type StreamEvent } from "./events";
import {
  stopStream,
  transports as allTransports,
  type ChatBody,
  type Start,
  type Transport,
  type TransportName,
} from "./transports";

export interface StreamOptions {
  /** Aborting stops the answer on the server; the sequence still ends with its terminal event. */
  signal: AbortSignal;
  /** In the order in which they are tried. */
  order?: readonly TransportName[];
  /** Told which transport delivered an event, when that changes. */
  onTransport?: (name: TransportName) => void;
  /** Told when a connection is gone before the end. */
  onLost?: () => void;
  /** After so long without any sign of life the connection counts as lost. */
  silenceMs?: number;
  /** The same before the first event of a new answer, which the server sends at once. */
  firstMs?: number;
  /** The wait before the second attempt; doubles with each further one. */
  backoffMs?: number;
  /** For tests. */
  transports?: Record<TransportName, Transport>;
  stop?: (stream: string) => Promise<void>;
}

const ORDER: readonly TransportName[] = ["websocket", "sse", "poll"];
const SILENCE_MS = 25_000; // the server pings every 10 s
const FIRST_MS = 8_000; // whatever collects a stream has shown itself by then
const BACKOFF_MS = 250;
const RESUME_ATTEMPTS = 7; // about half a minute
const FAREWELL_MS = 2_000; // how long a stopped answer may take to say goodbye

/** An answer that is being written already; all of its events are read again. */
export interface Running {
  stream: string;
}

/**
 * Yields every event once and in order, and exactly one terminal event, always last.
 *
 * A lost connection is resumed where it broke, first over the same transport, then over the next.
 * When nothing helps, the terminal event is an error that the page itself has made.
 */
export async function* streamAnswer(
  begin: ChatBody | Running,
  options: StreamOptions,
): AsyncGenerator<StreamEvent, void, undefined> {
  const { order = ORDER, backoffMs = BACKOFF_MS, transports = allTransports } = options;
  const { signal, stop = stopStream, silenceMs = SILENCE_MS, firstMs = FIRST_MS } = options;
  const end = new AbortController();
  const known = "stream" in begin ? begin.stream : undefined;
  const seen: Seen = { stream: known, next: 0, transport: undefined };
  const onAbort = (): void => {
    setTimeout(() => end.abort(), FAREWELL_MS);
    if (seen.stream !== undefined) void stop(seen.stream).catch(() => undefined); // the farewell ends it too
  };
  signal.addEventListener("abort", onAbort);
  let fault = "backend-not-listening";
  try {
    for (let failures = 0, at = 0; failures < (seen.stream ? RESUME_ATTEMPTS : order.length); ) {
      if (failures > 0) await delay(backoffMs * 2 ** (failures - 1), end.signal);
      if (end.signal.aborted || (signal.aborted && !seen.stream)) break;
      const name = order[at % order.length] ?? "sse";
      const before = seen.next;
      const start: Start =
        "messages" in begin && seen.stream === undefined
          ? { body: begin }
          : { stream: seen.stream ?? "", from: seen.next };
      try {
        const patience = { silenceMs, firstMs: "body" in start ? firstMs : silenceMs };
        for await (const event of watch(transports[name], start, patience, end.signal)) {
          // a refusal to resume is numbered 0: it is news all the same
          if (event.seq < seen.next && event.type !== "error") continue;
          if (seen.transport !== name) options.onTransport?.(name);
          const isNamed = seen.stream === undefined && event.stream !== undefined;
          Object.assign(seen, { transport: name, next: event.seq + 1 }, isNamed && { stream: event.stream });
          if (isNamed && signal.aborted) onAbort();
          yield event;
          if (isTerminal(event)) return;
        }
      } catch (error) {
        if (error instanceof Refused) {
          yield { seq: seen.next, type: "error", ...error.reason };
          return;
        }
        if (error instanceof ProtocolError) fault = "api-returns-html";
      }
      if (!end.signal.aborted) options.onLost?.();
      const progressed = seen.next > before;
      failures = progressed ? 1 : failures + 1;
      at += progressed ? 0 : 1;
    }
    yield signal.aborted ? cancelled(seen.next) : { seq: seen.next, type: "error", ...failure(fault) };
  } finally {
    signal.removeEventListener("abort", onAbort);
    end.abort();
  }
}

interface Seen {
  stream: string | undefined;
  next: number;
  transport: TransportName | undefined;
}

/** The events of one connection, which is closed at the end, after silence or with the signal. */
async function* watch(
  transport: Transport,
  start: Start,
  { silenceMs, firstMs }: { silenceMs: number; firstMs: number },
  end: AbortSignal,
): AsyncGenerator<StreamEvent, void, undefined> {
  const connection = new AbortController();
  const cut = (): void => connection.abort();
  end.addEventListener("abort", cut);
  let timer = setTimeout(cut, Math.min(firstMs, silenceMs));
  try {
    for await (const event of transport(start, connection.signal)) {
      clearTimeout(timer);
      if (event) yield event;
      timer = setTimeout(cut, silenceMs);
    }
  } finally {
    clearTimeout(timer);
    end.removeEventListener("abort", cut);
    cut();
  }
}

/** The end of an answer that was stopped before the server could say so. */
function cancelled(seq: number): StreamEvent {
  return {
    seq,
    type: "done",
    reason: "cancelled",
    usage: { prompt_tokens: 0, cached_tokens: 0, completion_tokens: 0 },
    timings: { queue_ms: 0, prefill_ms: 0, ttft_ms: 0, tok_s: 0 },
  };
}

/** Resolves after the time or as soon as the signal aborts. */
async function delay(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(finish, ms);
    signal.addEventListener("abort", finish);
    function finish(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", finish);
      resolve();
    }
  });
}
