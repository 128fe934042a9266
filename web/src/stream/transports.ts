/**
 * The three ways to reach an answer's events. Each knows how to start and how to resume over its
 * wire; none knows when to give up or what comes next: that is stream.ts.
 */

import type { ChatIn } from "../api_types";
import { ask } from "../ask";
import { parseEvent, toEvent, type StreamEvent } from "./events";
import { bodyChunks, readSse } from "./sse";

export type ChatBody = Pick<
  ChatIn,
  "conversation" | "parent" | "question" | "answer" | "messages" | "sampling" | "max_tokens" | "continue_last" | "lang"
>;

/** Where to begin: a new answer, or the events of a known one from a number on. */
export type Start = { body: ChatBody } | { stream: string; from: number };

/**
 * Yields events, and null as a sign of life. Returning without a terminal event or throwing means
 * that the connection is gone; throwing Refused means that trying again is no use.
 */
export type Transport = (
  start: Start,
  signal: AbortSignal,
) => AsyncGenerator<StreamEvent | null, void, undefined>;

export type TransportName = "websocket" | "sse" | "poll";

export const transports: Record<TransportName, Transport> = {
  websocket: overWebSocket,
  sse: overSse,
  poll: overPolling,
};

/** Asks the server to end an answer; its terminal event still arrives on the transport. */
export async function stopStream(stream: string): Promise<void> {
  await fetch(streamUrl(stream), { method: "DELETE" });
}

async function* overWebSocket(start: Start, signal: AbortSignal): ReturnType<Transport> {
  const url = new URL("/ws/chat", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(url);
  const inbox = new Inbox();
  const end = (): void => inbox.end();
  socket.addEventListener("open", () => socket.send(JSON.stringify(frame(start))));
  socket.addEventListener("message", ({ data }) => inbox.put(String(data)));
  socket.addEventListener("close", end);
  signal.addEventListener("abort", end);
  try {
    for await (const text of inbox.texts()) yield text === PING ? null : parseEvent(text);
  } finally {
    signal.removeEventListener("abort", end);
    socket.close();
  }
}

const PING = '{"type": "ping"}'; // what the server sends when it has nothing else to say

/** Turns texts that are pushed into texts that are pulled. */
class Inbox {
  private readonly waiting: string[] = [];
  private isOver = false;
  private wake: (() => void) | undefined;

  put(text: string): void {
    this.waiting.push(text);
    this.wake?.();
  }

  end(): void {
    this.isOver = true;
    this.wake?.();
  }

  /** What was put, in order, until end; what was put before end is still handed out. */
  async *texts(): AsyncGenerator<string, void, undefined> {
    for (;;) {
      const text = this.waiting.shift();
      if (text !== undefined) yield text;
      else if (this.isOver) return;
      else {
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
      }
    }
  }
}

function frame(start: Start): Record<string, unknown> {
  return "body" in start ? { op: "chat", ...start.body } : { op: "resume", ...start };
}

async function* overSse(start: Start, signal: AbortSignal): ReturnType<Transport> {
  const accept = { accept: "text/event-stream" };
  const response =
    "body" in start
      ? await ask("/api/chat", { ...post(start.body), signal })
      : await ask(eventsUrl(start.stream, start.from), { headers: accept, signal });
  if (!response.body) return;
  for await (const data of readSse(bodyChunks(response.body))) {
    yield data === null ? null : parseEvent(data);
  }
}

/** Each request waits on the server until there is news, so even an empty answer is a sign of life. */
async function* overPolling(start: Start, signal: AbortSignal): ReturnType<Transport> {
  let { stream, from } = "body" in start ? await begin(start.body, signal) : start;
  for (;;) {
    const response = await ask(eventsUrl(stream, from), { signal });
    const { events, ended } = (await response.json()) as { events: unknown[]; ended: boolean };
    if (events.length === 0) yield null;
    for (const value of events) {
      const event = toEvent(value);
      from = event.seq + 1;
      yield event;
    }
    if (ended) return;
  }
}

async function begin(body: ChatBody, signal: AbortSignal): Promise<{ stream: string; from: number }> {
  const response = await ask("/api/streams", { ...post(body), signal });
  const { stream } = (await response.json()) as { stream: string };
  return { stream, from: 0 };
}

function post(body: ChatBody): { method: string; body: string; headers: Record<string, string> } {
  const headers = { "content-type": "application/json" };
  return { method: "POST", body: JSON.stringify(body), headers };
}

function eventsUrl(stream: string, from: number): string {
  return `${streamUrl(stream)}?from=${from}`;
}

function streamUrl(stream: string): string {
  return `/api/streams/${encodeURIComponent(stream)}`;
}
