/**
 * Conversations as the server keeps them: what can be asked of it, and its words in those of the
 * page. Every method throws Refused when the server says no, another Error when it is not there.
 */

import { ask } from "./ask";
import { isPlain, toSettings, type AnswerSettings } from "./settings";
import { lasting, type Answer, type Conversation, type Ending, type Progress, type Summary, type Turn } from "./state";
import type { Failure, Notice, Timings, Usage } from "./stream/events";

export type Outcome = "added" | "merged" | "unchanged" | "deleted" | "refused";

/** A conversation that a search came to; turnId is null when only its title has the words. */
export interface Hit extends Summary {
  turnId: string | null;
  excerpt: string;
}

/** Turns, and the streams of those answers that are being written right now. */
export interface Fetched {
  turns: readonly Turn[];
  streams: ReadonlyMap<string, string>; // by the answer's id
}

const BASE = "/api/conversations";
export const LISTED = 200; // the newest; older ones are found by searching
const TIMEOUT_MS = 30_000;
const BATCH_BYTES = 4 * 1024 * 1024; // of one import; the server takes 8 MiB

export class ServerStore {
  async list(): Promise<Summary[]> {
    const { conversations } = await get<{ conversations: RawSummary[] }>(`${BASE}?limit=${LISTED}`);
    return conversations.map(toSummary);
  }

  async find(query: string, signal: AbortSignal): Promise<Hit[]> {
    const url = `${BASE}?q=${encodeURIComponent(query)}`;
    const { conversations } = await get<{ conversations: RawHit[] }>(url, signal);
    return conversations.map((it) => ({ ...toSummary(it), turnId: it.message, excerpt: it.excerpt }));
  }

  async fetch(id: string): Promise<Fetched> {
    const messages: RawMessage[] = [];
    for (let after: number | null = 0; after !== null; ) {
      const url: string = `${pathOf(id)}/messages?after=${after}`;
      const page: { messages: RawMessage[]; next: number | null } = await get(url);
      messages.push(...page.messages);
      after = page.next;
    }
    const running = messages.flatMap((it): [string, string][] => (it.stream ? [[it.id, it.stream]] : []));
    return { turns: messages.map(toTurn), streams: new Map(running) };
  }

  /** One that a link led to. */
  async summary(id: string): Promise<Summary> {
    return toSummary(await get<RawSummary>(pathOf(id)));
  }

  /** Before its first question, where that is asked with settings of its own. */
  async create(id: string, title: string, settings: AnswerSettings): Promise<void> {
    await send("POST", BASE, JSON.stringify({ id, title, settings }));
  }

  async change(id: string, values: { title?: string; current?: string; settings?: AnswerSettings }): Promise<void> {
    await send("PATCH", pathOf(id), JSON.stringify(values));
  }

  async remove(id: string): Promise<void> {
    await send("DELETE", pathOf(id));
  }

  async restore(id: string): Promise<void> {
    await send("POST", `${pathOf(id)}/restore`);
  }

  /** Adds what the server misses. deleted: what becomes of that which was deleted there. */
  async bring(
    conversations: readonly Conversation[],
    deleted: "keep" | "revive",
  ): Promise<Record<string, Outcome>> {
    return importAll(conversations.map(toTree), deleted);
  }

  /** An exported file, JSON or Markdown. Throws SyntaxError for a file of another kind. */
  async bringFile(name: string, text: string): Promise<Record<string, Outcome>> {
    if (!name.toLowerCase().endsWith(".json")) {
      const response = await send("POST", `${BASE}/import`, text, "text/markdown");
      return ((await response.json()) as { outcomes: Record<string, Outcome> }).outcomes;
    }
    const file = JSON.parse(text) as { conversations?: unknown };
    if (!Array.isArray(file.conversations)) throw new SyntaxError("no conversations in it");
    return importAll(file.conversations, "revive");
  }
}

export function exportUrl(id: string, format: "json" | "markdown"): string {
  return `${pathOf(id)}/export?format=${format}`;
}

export const EXPORT_ALL_URL = `${BASE}/export`;

/** In batches that the server takes. */
async function importAll(trees: readonly unknown[], deleted: "keep" | "revive"): Promise<Record<string, Outcome>> {
  const outcomes: Record<string, Outcome> = {};
  for (const batch of batches(trees.map((tree) => JSON.stringify(tree)))) {
    const body = `{"format": "qwell-conversations", "version": 1, "conversations": [${batch.join(",")}]}`;
    const response = await send("POST", `${BASE}/import?deleted=${deleted}`, body);
    Object.assign(outcomes, ((await response.json()) as { outcomes: object }).outcomes);
  }
  return outcomes;
}

function batches(parts: readonly string[]): string[][] {
  const all: string[][] = [];
  let room = 0;
  for (const part of parts) {
    const size = part.length * 3; // bytes at most
    if (all.length === 0 || size > room) {
      all.push([]);
      room = BATCH_BYTES;
    }
    all.at(-1)?.push(part);
    room -= size;
  }
  return all;
}

function pathOf(id: string): string {
  return `${BASE}/${encodeURIComponent(id)}`;
}

async function get<T>(url: string, signal?: AbortSignal): Promise<T> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const response = await ask(url, { signal: signal ? AbortSignal.any([signal, timeout]) : timeout });
  return (await response.json()) as T;
}

async function send(method: string, url: string, body?: string, type = "application/json"): Promise<Response> {
  const content = body === undefined ? {} : { body, headers: { "content-type": type } };
  return ask(url, { method, ...content, signal: AbortSignal.timeout(TIMEOUT_MS) });
}

// -- the server's words

interface RawSummary {
  id: string;
  title: string;
  updated_at: number;
  current: string | null;
  settings: Partial<AnswerSettings>;
}

interface RawHit extends RawSummary {
  message: string | null;
  excerpt: string;
}

interface RawMessage {
  id: string;
  parent: string | null;
  role: "user" | "assistant" | "system";
  content: string;
  state: "done" | "partial" | "failed" | "interrupted";
  end: Partial<{ reason: Ending; usage: Usage; timings: Timings } & Failure>;
  notices: Notice[];
  stream?: string; // where it is being written right now
}

function toSummary(raw: RawSummary): Summary {
  const { id, title, updated_at: updatedAt, current: shown } = raw;
  return { id, title, updatedAt, shown, settings: toSettings(raw.settings) };
}

export function toTurn(raw: RawMessage): Turn {
  const { id, parent, content } = raw;
  if (raw.role !== "assistant") return { id, parent, role: "user", content };
  // an answer that is being written is read again from its first event
  return { id, parent, role: "assistant", content: raw.stream ? "" : content, progress: progressOf(raw), notices: raw.notices };
}

function progressOf({ state, end, stream }: RawMessage): Progress {
  if (stream) return { name: "waiting", stage: { name: "connecting" } };
  if (state === "failed") {
    const { code = "internal-error", title = "", cause = "", fix = "", request_id = "" } = end;
    return { name: "failed", failure: { code, title, cause, fix, request_id } };
  }
  // where the server kept no reason, nobody was there to give one: it ended while it wrote
  const { reason = state === "done" ? "stop" : "server-stopped", usage = null, timings = null } = end;
  return { name: "done", reason, usage, timings };
}

function toTree(it: Conversation): object {
  return {
    id: it.id,
    title: it.title,
    updated_at: it.updatedAt,
    current: it.shown,
    ...(isPlain(it.settings) ? {} : { settings: it.settings }),
    messages: it.turns.map((turn) => ({
      id: turn.id,
      parent: turn.parent,
      role: turn.role,
      content: turn.content,
      ...(turn.role === "assistant" ? endOf(turn) : {}),
    })),
  };
}

const PAGE_CLOSED = { state: "interrupted", end: { type: "done", reason: "interrupted" } };

function endOf({ progress, notices: told }: Answer): object {
  const notices = lasting(told);
  switch (progress.name) {
    case "failed":
      return { notices, state: "failed", end: { type: "error", ...progress.failure } };
    case "done":
      if (progress.reason === "server-stopped") return { notices, state: "interrupted" };
      return progress.reason === "interrupted"
        ? { notices, ...PAGE_CLOSED }
        : { notices, state: "done", end: { type: "done", ...progress, name: undefined } };
    default:
      return { notices, ...PAGE_CLOSED };
  }
}
