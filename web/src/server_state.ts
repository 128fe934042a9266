/** Which model the server has and whether it can answer now. Asks gently; changes nothing. */

import { useEffect, useState } from "react";

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
}

const READY_EVERY_MS = 30_000;
const TROUBLED_EVERY_MS = 3_000;
const TIMEOUT_MS = 10_000;

/** Asks at once, when the page is looked at again, and from time to time while it is visible. */
export function useServerState(): ServerState {
  const [state, setState] = useState<ServerState>({ readiness: { name: "unknown" }, model: null });
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isGone = false;
    const refresh = async (): Promise<void> => {
      clearTimeout(timer);
      const next = await askServer();
      if (isGone) return;
      setState((old) => ({ readiness: next.readiness, model: next.model ?? old.model }));
      clearTimeout(timer);
      timer = setTimeout(tick, next.readiness.name === "ready" ? READY_EVERY_MS : TROUBLED_EVERY_MS);
    };
    const tick = (): void => {
      if (document.visibilityState === "visible") void refresh();
    };
    document.addEventListener("visibilitychange", tick);
    void refresh();
    return () => {
      isGone = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", tick);
    };
  }, []);
  return state;
}

export async function askServer(): Promise<ServerState> {
  try {
    const [ready, version] = await Promise.all([get("/ready"), get("/version")]);
    return { readiness: toReadiness(ready, version), model: modelName(version.body) };
  } catch {
    return { readiness: { name: "unreachable" }, model: null };
  }
}

interface Reply {
  ok: boolean;
  body: Record<string, unknown>;
}

async function get(path: string): Promise<Reply> {
  const response = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT_MS), cache: "no-store" });
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
