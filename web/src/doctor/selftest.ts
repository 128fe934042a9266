/**
 * The page examines itself: runs the probes, gives what each found, and tells the server, where the
 * doctor's `browser.*` checks repeat it. Knows no component.
 */

import { errorRing } from "./error_ring";
import { isWrong, skipped, type Finding, type Found } from "./findings";
import { NEED_ORIGIN, NEED_SERVER, probes, type ProbeName, type Surroundings } from "./probes";

export const PROBE_NAMES = Object.keys(probes) as ProbeName[];

export interface SelfTest {
  only?: readonly ProbeName[];
  onBegin?: (check: ProbeName) => void;
  onFound?: (finding: Finding) => void;
  around?: Surroundings;
}

/** What each probe found. What cannot be asked because an earlier probe failed is skipped. */
export async function selfTest(how: SelfTest = {}): Promise<Finding[]> {
  const { only = PROBE_NAMES, around = browser() } = how;
  const run = (check: ProbeName): Promise<Finding> => probed(check, around, how);
  const wants = (it: ProbeName): boolean => only.includes(it);
  const reached = await run("browser.reachable");
  const findings = wants("browser.reachable") ? [reached] : [];
  const isThere = reached.status === "pass";
  const allowed = isThere ? await run("browser.cors") : undefined;
  if (allowed && wants("browser.cors")) findings.push(allowed);
  const rest = only.filter((it) => it !== "browser.reachable" && !(allowed && it === "browser.cors"));
  const why = (it: ProbeName): string | undefined => {
    if (!isThere && NEED_SERVER.has(it)) return "the server was not reached";
    return allowed && isWrong(allowed) && NEED_ORIGIN.has(it) ? "the server refuses this page's origin" : undefined;
  };
  findings.push(
    ...(await Promise.all(
      rest.map((it) => {
        const reason = why(it);
        return reason === undefined ? run(it) : told({ check: it, ms: 0, ...skipped(reason) }, how);
      }),
    )),
  );
  return findings;
}

async function probed(check: ProbeName, around: Surroundings, how: SelfTest): Promise<Finding> {
  how.onBegin?.(check);
  const started = performance.now();
  const found: Found = await probes[check](around).catch((error: unknown) => ({
    status: "error",
    because: String(error).slice(0, 200),
    evidence: [],
  }));
  return told({ check, ms: Math.round(performance.now() - started), ...found }, how);
}

async function told(finding: Finding, { onFound }: SelfTest): Promise<Finding> {
  onFound?.(finding);
  return finding;
}

/** Tells the server what was found, so that its own checks say the same. False when it cannot be told. */
export async function post(findings: readonly Finding[], fetching: typeof fetch = fetch): Promise<boolean> {
  const bare = findings.map(({ check, status, because, evidence }) => ({ check, status, because, evidence }));
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ findings: bare, layers: ["browser"] });
  return fetching("/api/doctor", { method: "POST", headers, body }).then(
    (response) => response.ok,
    () => false,
  );
}

const QUIET_MS = 60_000;
let lastQuiet = -Infinity;

/** After a stream that failed: once in a while, and nobody sees it. */
export async function quietSelfTest(now: number = performance.now()): Promise<void> {
  if (now - lastQuiet < QUIET_MS) return;
  lastQuiet = now;
  await post(await selfTest());
}

function browser(): Surroundings {
  return {
    fetch: (...args) => fetch(...args),
    WebSocket,
    location,
    isOnline: () => navigator.onLine,
    now: () => Date.now(),
    ring: errorRing,
    scripts: () => Array.from(document.scripts, ({ src }) => src && new URL(src).pathname).filter((it) => it.includes("/assets/")),
    resources: () => performance.getEntriesByType("resource").map(({ name }) => name),
    storage: () => localStorage,
    quota: async () => navigator.storage?.estimate(),
    workers: async () => navigator.serviceWorker?.getRegistrations(),
  };
}
