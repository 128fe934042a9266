/** Which model the server has and whether it can answer now. Asks gently; changes nothing. */

import { useEffect, useState } from "react";
import { acceptLanguage, type Language } from "./language";
import { noticeTrouble, onTrouble } from "./trouble";

export interface Problem {
  code: string;
  title: string;
  cause: string;
  fix: string;
}

export type Readiness =
  | { name: "unknown" }
  | { name: "ready" }
  | { name: "loading"; progress: number } // 0 to 1
  | { name: "broken"; problem: Problem }
  | { name: "unreachable" };

export interface ServerState {
  readiness: Readiness;
  model: string | null; // the model really served
  troubled: readonly string[]; // layers in which something is wrong, as its monitors noticed
}

const UNKNOWN: ServerState = { readiness: { name: "unknown" }, model: null, troubled: [] };
const READY_EVERY_MS = 15_000;
const PULSE_EVERY_MS = 2_500;
const TROUBLED_EVERY_MS = 2_000;
const TIMEOUT_MS = 10_000;

/**
 * Asks at once, when a light pulse in between gets no answer, when anything on the page meets trouble, when the network or the person comes back,
 * and from time to time while the page is visible. In the language of the page.
 */
export function useServerState(language: Language): ServerState {
  const [state, setState] = useState(UNKNOWN);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isGone = false;
    let isAsking = false;
    const refresh = async (): Promise<void> => {
      clearTimeout(timer);
      if (isAsking) return;
      isAsking = true;
      const next = await askServer(language);
      isAsking = false;
      if (isGone) return;
      setState((old) => ({ ...next, model: next.model ?? old.model }));
      timer = setTimeout(look, next.readiness.name === "ready" ? READY_EVERY_MS : TROUBLED_EVERY_MS);
    };
    const look = (): void => {
      if (document.visibilityState === "visible") void refresh();
    };
    const deaf = [onTrouble(look), listening(document, "visibilitychange", look)];
    deaf.push(listening(window, "online", look), listening(window, "offline", look));
    const pulse = setInterval(() => {
      if (document.visibilityState === "visible") void feelPulse();
    }, PULSE_EVERY_MS);
    void refresh();
    return () => {
      isGone = true;
      clearTimeout(timer);
      clearInterval(pulse);
      for (const stop of deaf) stop();
    };
  }, [language]);
  return state;
}

function listening(target: EventTarget, event: string, listener: () => void): () => void {
  target.addEventListener(event, listener);
  return () => target.removeEventListener(event, listener);
}

export async function askServer(language: Language): Promise<ServerState> {
  const get = (path: string): Promise<Reply> => getIn(language, path);
  try {
    const [ready, version, troubled] = await Promise.all([get("/ready"), get("/version"), askTroubled(get)]);
    return { readiness: toReadiness(ready, version), model: modelName(version.body), troubled };
  } catch {
    return { ...UNKNOWN, readiness: { name: "unreachable" } };
  }
}

/** Whether the server's process lives, at next to no cost; trouble when there is no answer. */
export async function feelPulse(): Promise<void> {
  const how = { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) } as const;
  await fetch("/health", how).catch(noticeTrouble);
}

let maySeeIncidents = true; // until the server refuses

async function askTroubled(get: (path: string) => Promise<Reply>): Promise<string[]> {
  if (!maySeeIncidents) return [];
  const { ok, body } = await get("/api/incidents");
  maySeeIncidents = ok;
  const all = ok && Array.isArray(body.incidents) ? (body.incidents as { layer: string; closed: number }[]) : [];
  return [...new Set(all.filter(({ closed }) => closed === 0).map(({ layer }) => layer))];
}

interface Reply {
  ok: boolean;
  body: Record<string, unknown>;
}

async function getIn(language: Language, path: string): Promise<Reply> {
  const how = { signal: AbortSignal.timeout(TIMEOUT_MS), headers: acceptLanguage(language) };
  const response = await fetch(path, { ...how, cache: "no-store" });
  return { ok: response.ok, body: (await response.json()) as Record<string, unknown> };
}

function toReadiness({ ok, body }: Reply, version: Reply): Readiness {
  if (ok) return { name: "ready" };
  const code = text(body.type).split("/faults/")[1] ?? "";
  if (code === "model-still-loading") {
    const { progress } = version.body;
    return { name: "loading", progress: typeof progress === "number" ? progress : 0 };
  }
  const problem = { code, title: text(body.title), cause: text(body.detail), fix: text(body.fix) };
  return { name: "broken", problem };
}

function modelName(version: Record<string, unknown>): string | null {
  const model = version.model;
  const name = typeof model === "object" && model !== null && "name" in model ? model.name : model;
  return text(name) || null;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
