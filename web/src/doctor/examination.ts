/** The doctor's whole examination over HTTP, check by check. Knows no component. */

import { ask } from "../ask";
import { bodyChunks, readSse } from "../stream/sse";
import type { Finding } from "./findings";
import type { Bilingual, FaultFound } from "./support_events";

export interface Report {
  status: "healthy" | "degraded" | "broken" | "unknown";
  diagnoses: (FaultFound & { remedies: { do: Bilingual; commands: string[] }[] })[];
}

export interface ServerFinding extends Finding {
  layer: string;
}

interface Listeners {
  onFinding: (finding: ServerFinding) => void;
  signal: AbortSignal;
}

/** Throws Refused, or Error when the server cannot be reached or breaks off. */
export async function examine(findings: readonly Finding[], { onFinding, signal }: Listeners): Promise<Report> {
  const bare = findings.map(({ check, status, because, evidence }) => ({ check, status, because, evidence }));
  const headers = { "content-type": "application/json", accept: "text/event-stream" };
  const body = JSON.stringify({ findings: bare });
  const response = await ask("/api/doctor", { method: "POST", headers, body, signal });
  if (!response.body) throw new Error("no body");
  for await (const data of readSse(bodyChunks(response.body))) {
    if (data === null) continue;
    const event = JSON.parse(data) as { type: "finding"; finding: ServerFinding } | ({ type: "report" } & Report);
    if (event.type === "report") return event;
    onFinding(event.finding);
  }
  throw new Error("the examination broke off");
}

/** What each check looks at, by its id. */
export async function fetchTitles(): Promise<ReadonlyMap<string, Bilingual>> {
  const { checks } = (await (await ask("/api/doctor/checks", {})).json()) as {
    checks: { check: string; title: Bilingual }[];
  };
  return new Map(checks.map(({ check, title }) => [check, title]));
}

export interface Incident {
  id: string;
  check: string;
  layer: string;
  fault: string;
  because: string;
  opened: number; // seconds since 1970
  seen: number;
  closed: number; // 0: still open
  count: number;
  evidence: { key: string; value: string | number | boolean }[];
  events: [number, string][];
}

export async function fetchIncidents(): Promise<Incident[]> {
  return ((await (await ask("/api/incidents", {})).json()) as { incidents: Incident[] }).incidents;
}

export interface Explained {
  title: Bilingual;
  see: Bilingual;
  why: Bilingual;
  how: Bilingual;
}

export async function fetchExplanation(fault: string): Promise<Explained> {
  return (await (await ask(`/api/faults/${encodeURIComponent(fault)}`, {})).json()) as Explained;
}
