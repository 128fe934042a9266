/** What the server says while it answers. Knows nothing of transports or of the page. */

import type * as api from "../api_types";

export type Reason = api.DoneEvent["reason"];
export type Usage = Omit<api.Usage, "dropped_tokens">;
export type Timings = api.Timings;

/** A fault id and what to do about it. Texts are empty when the page itself noticed the fault. */
export type Failure = api.FailedEvent;

export type Notice = api.NoticeEvent;

type Body =
  | ({ type: "queued" } & api.QueuedEvent)
  | ({ type: "loading" } & api.LoadingEvent)
  | ({ type: "prefill" } & api.PrefillEvent)
  | { type: "delta"; text: string }
  | ({ type: "notice" } & Notice)
  | { type: "done"; reason: Reason; usage: Usage; timings: Timings }
  | ({ type: "error" } & Failure);

/** seq counts from 0 without gaps; the first event names its stream. */
export type StreamEvent = Body & { seq: number; stream?: string };

const TYPES = new Set<string>(["queued", "loading", "prefill", "delta", "notice", "done", "error"]);

export class ProtocolError extends Error {}

export function isTerminal(event: StreamEvent): boolean {
  return event.type === "done" || event.type === "error";
}

/** Throws ProtocolError for anything that is no event, such as a proxy's HTML page. */
export function toEvent(value: unknown): StreamEvent {
  const event = value as Partial<StreamEvent> | null;
  if (typeof event !== "object" || typeof event?.seq !== "number" || !TYPES.has(event.type ?? "")) {
    throw new ProtocolError(`not an event: ${JSON.stringify(value)?.slice(0, 200)}`);
  }
  return event as StreamEvent;
}

/** The same from text. */
export function parseEvent(text: string): StreamEvent {
  try {
    return toEvent(JSON.parse(text));
  } catch (error) {
    throw error instanceof ProtocolError ? error : new ProtocolError(`not JSON: ${text.slice(0, 200)}`);
  }
}

export function failure(code: string, texts: Partial<Failure> = {}): Failure {
  return { code, title: "", cause: "", fix: "", request_id: "", ...texts };
}
