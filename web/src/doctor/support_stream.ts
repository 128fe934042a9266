/**
 * One turn of the dialogue as one sequence of events, whatever happens to the connection, and the
 * other routes of a case. Knows nothing of the page.
 */

import { ask, Refused } from "../ask";
import { ProtocolError } from "../stream/events";
import { bodyChunks, readSse } from "../stream/sse";
import type { Finding } from "./findings";
import { isLast, toSupportEvent, type CaseState, type SupportEvent } from "./support_events";

export interface TurnBody {
  case?: string | null;
  text?: string;
  choice?: string;
  consent?: string;
  lang?: "zh" | "en";
  findings?: readonly Finding[];
  request_id?: string;
  fault?: string;
  conversation?: string;
}

export interface Brief {
  case: string;
  state: CaseState;
  title: string;
  updated: number;
  fault: string;
}

export interface WholeCase extends Brief {
  events: SupportEvent[];
  next: number;
  running: boolean;
}

interface Patience {
  signal: AbortSignal;
  backoffMs?: number;
  attempts?: number;
}

const BACKOFF_MS = 400;
const ATTEMPTS = 6; // about half a minute

/** Yields the events of this turn, the last of them `done` or `error`. Throws Refused, or Error when nothing can be reached. */
export async function* takeTurn(body: TurnBody, patience: Patience): AsyncGenerator<SupportEvent, void, undefined> {
  const { signal } = patience;
  let at: { id: string; next: number } | undefined;
  try {
    const response = await ask("/api/support", { ...post(trimmed(body)), signal });
    for await (const event of read(response)) {
      if (event.type === "case") at = { id: event.case, next: event.seq };
      if (at) at.next = event.seq + 1;
      yield event;
      if (isLast(event)) return;
    }
  } catch (error) {
    if (!at || signal.aborted || error instanceof Refused) throw error;
  }
  if (!at) throw new ProtocolError("the turn ended before it began");
  yield* follow(at.id, at.next, patience);
}

/** The rest of the turn that holds number `from`. The turn goes on at the server without a reader. */
export async function* follow(
  id: string,
  from: number,
  { signal, backoffMs = BACKOFF_MS, attempts = ATTEMPTS }: Patience,
): AsyncGenerator<SupportEvent, void, undefined> {
  const headers = { accept: "text/event-stream" };
  for (let failures = 0, next = from; ; ) {
    try {
      const response = await ask(`${urlOf(id)}/events?from=${next}`, { headers, signal });
      for await (const event of read(response)) {
        if (event.seq < next) continue;
        next = event.seq + 1;
        failures = 0;
        yield event;
        if (isLast(event)) return;
      }
      failures += 1;
    } catch (error) {
      failures += 1;
      if (signal.aborted || error instanceof Refused || failures >= attempts) throw error;
    }
    if (failures >= attempts) throw new ProtocolError("the turn does not go on");
    await new Promise((resolve) => setTimeout(resolve, backoffMs * 2 ** (failures - 1)));
  }
}

async function* read(response: Response): AsyncGenerator<SupportEvent, void, undefined> {
  if (!response.body) return;
  for await (const data of readSse(bodyChunks(response.body))) {
    const value: unknown = data === null ? null : JSON.parse(data);
    if (value !== null && (value as { type?: unknown }).type !== "ping") yield toSupportEvent(value);
  }
}

export async function fetchCase(id: string): Promise<WholeCase> {
  return (await (await ask(urlOf(id), {})).json()) as WholeCase;
}

export async function fetchCases(): Promise<Brief[]> {
  return ((await (await ask("/api/support", {})).json()) as { cases: Brief[] }).cases;
}

export async function forgetCase(id: string): Promise<void> {
  await ask(urlOf(id), { method: "DELETE" });
}

const urlOf = (id: string): string => `/api/support/${encodeURIComponent(id)}`;

function post(body: TurnBody): { method: string; body: string; headers: Record<string, string> } {
  return { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } };
}

/** The server names what a finding may hold; times of probes are not among it. */
function trimmed({ findings, ...body }: TurnBody): TurnBody {
  if (!findings) return body;
  const bare = findings.map(({ check, status, because, evidence }) => ({ check, status, because, evidence }));
  return { ...body, findings: bare as Finding[] };
}
