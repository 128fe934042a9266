/**
 * What only a browser can find out about the way to its server. Each probe looks at one thing and
 * changes nothing. Knows the server's routes for tests, not what a finding means.
 */

import { readSse, bodyChunks } from "../stream/sse";
import type { ErrorRing } from "./error_ring";
import { failed, passed, skipped, warned, type Found } from "./findings";

/** The world as probes see it: replaced in tests. */
export interface Surroundings {
  fetch: typeof fetch;
  WebSocket: typeof WebSocket;
  location: Pick<Location, "href" | "origin" | "host" | "protocol">;
  isOnline: () => boolean;
  now: () => number; // ms since 1970
  ring: ErrorRing;
  scripts: () => string[]; // of the page as it runs
  resources: () => string[]; // whatever the page has loaded
  storage: () => Storage;
  quota: () => Promise<StorageEstimate | undefined>;
  workers: () => Promise<readonly Pick<ServiceWorkerRegistration, "active" | "waiting" | "scope">[] | undefined>;
}

export type Probe = (around: Surroundings) => Promise<Found>;

const TIMEOUT_MS = 6_000;
const REFUSED_MS = 1_500; // a refusal comes at once; a firewall lets one wait

export const probes = {
  "browser.reachable": reachable,
  "browser.api_json": apiJson,
  "browser.cors": cors,
  "browser.cors_credentials": corsCredentials,
  "browser.websocket": webSocket,
  "browser.stream_pacing": streamPacing,
  "browser.long_poll": longPoll,
  "browser.clock": clock,
  "browser.fresh_page": freshPage,
  "browser.service_worker": serviceWorker,
  "browser.script": script,
  "browser.csp": contentPolicy,
  "browser.storage": storage,
  "browser.mixed_content": mixedContent,
  "browser.address": address,
} satisfies Record<string, Probe>;

export type ProbeName = keyof typeof probes;

/** Those that make no sense while the server cannot be reached. */
export const NEED_SERVER: ReadonlySet<ProbeName> = new Set([
  "browser.api_json",
  "browser.cors",
  "browser.websocket",
  "browser.stream_pacing",
  "browser.long_poll",
  "browser.clock",
  "browser.fresh_page",
]);

/** Those that a server which refuses this page's address refuses, too. */
export const NEED_ORIGIN: ReadonlySet<ProbeName> = new Set(["browser.websocket"]);

async function reachable(around: Surroundings): Promise<Found> {
  const { origin } = around.location;
  const started = performance.now();
  try {
    const response = await get(around, "/health");
    return passed({ address: origin, status: response.status, ...traced(response), ms: since(started) });
  } catch (error) {
    const ms = since(started);
    const how = !around.isOnline() ? "offline" : ms < REFUSED_MS ? "refused" : "no answer";
    return failed(`${origin} cannot be reached`, { address: origin, how, ms, error: nameOf(error) });
  }
}

/** The address leads to qwell and to nothing else. */
async function apiJson(around: Surroundings): Promise<Found> {
  const response = await get(around, "/version");
  const type = response.headers.get("content-type") ?? "";
  const facts = { path: "/version", status: response.status, content_type: type, ...traced(response) };
  if (!type.includes("json")) return failed("the API's address answers with something else", facts);
  const body = (await response.json().catch(() => null)) as { name?: unknown } | null;
  if (response.ok && body?.name !== "qwell") return failed("another program answers", facts);
  return passed(facts);
}

/** Browsers name the page's origin when they send something; asking for the page they do not. */
async function cors(around: Surroundings): Promise<Found> {
  const { origin, host } = around.location;
  const response = await around.fetch("/api/selftest/body", { ...limited(), method: "POST", body: "x" });
  const facts = { origin, host, status: response.status, ...traced(response) };
  const problem = response.ok ? "" : await problemOf(response);
  if (problem === "cors-blocked") return failed("the server refuses what pages of this origin send", facts);
  return passed(facts);
}

async function corsCredentials(around: Surroundings): Promise<Found> {
  return skipped(`page and server share the origin ${around.location.origin}`);
}

async function webSocket(around: Surroundings): Promise<Found> {
  const url = new URL("/ws/chat", around.location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const started = performance.now();
  const how = await new Promise<string>((resolve) => {
    const socket = new around.WebSocket(url);
    const timer = setTimeout(() => settle("no answer"), TIMEOUT_MS);
    const settle = (text: string): void => {
      clearTimeout(timer);
      resolve(text);
      socket.close();
    };
    socket.addEventListener("open", () => settle("open"));
    socket.addEventListener("error", () => settle("refused"));
    socket.addEventListener("close", ({ code }) => settle(`closed ${code}`));
  });
  const facts = { url: url.href, how, ms: since(started) };
  return how === "open" ? passed(facts) : failed("no WebSocket can be opened", facts);
}

const N_FRAMES = 10;
const EVERY_MS = 60;
const HELD = 0.5; // of the time that sending took

/** Frames that were sent one by one arrive one by one, or all at the end. */
async function streamPacing(around: Surroundings): Promise<Found> {
  const first = await paced(around);
  // a busy machine may bunch frames once: a second measurement must agree
  return first.status === "fail" ? paced(around) : first;
}

async function paced(around: Surroundings): Promise<Found> {
  const path = `/api/selftest/stream?n=${N_FRAMES}&every_ms=${EVERY_MS}`;
  const response = await around.fetch(path, limited());
  const encoding = response.headers.get("content-encoding") ?? "";
  const facts = { path, status: response.status, encoding, ...traced(response) };
  if (!response.ok || !response.body) return skipped(`status ${response.status}`);
  const arrived: number[] = [];
  for await (const data of readSse(bodyChunks(response.body))) if (data !== null) arrived.push(performance.now());
  const spread = round(((arrived.at(-1) ?? 0) - (arrived[0] ?? 0)) / (EVERY_MS * (N_FRAMES - 1)));
  const seen = { ...facts, n_frames: arrived.length, n_sent: N_FRAMES, spread };
  if (arrived.length < N_FRAMES) return failed("the stream breaks off", seen);
  return spread < HELD ? failed("the stream arrives in one piece", seen) : passed(seen);
}

const SILENT_MS = 1_200;

/** A request may be kept waiting, as long polling does. */
async function longPoll(around: Surroundings): Promise<Found> {
  const started = performance.now();
  const response = await around.fetch(`/api/selftest/stream?n=2&every_ms=${SILENT_MS}`, limited());
  if (!response.ok) return skipped(`status ${response.status}`);
  const text = await response.text();
  const facts = { waited_ms: since(started), ...traced(response) };
  return text.includes('"seq": 1') ? passed(facts) : failed("an answer that takes long is cut off", facts);
}

const SKEW_MS = 60_000;

/** Keys and certificates expire by the clock, and lines of two logs are compared by it. */
async function clock(around: Surroundings): Promise<Found> {
  const asked = around.now();
  const response = await get(around, "/health");
  const text = response.headers.get("date");
  if (text === null) return skipped("the server tells no time");
  const middle = (asked + around.now()) / 2;
  const seconds = Math.round((middle - Date.parse(text)) / 1e3);
  const facts = { seconds, ...traced(response) };
  return Math.abs(seconds) * 1e3 > SKEW_MS ? failed("this device's clock and the server's differ", facts) : passed(facts);
}

/** The scripts that run here are those that the server's page names now. */
async function freshPage(around: Surroundings): Promise<Found> {
  const running = around.scripts();
  if (running.length === 0) return skipped("the page runs from its sources");
  const response = await get(around, "/");
  const html = await response.text();
  const served = [...html.matchAll(/src="[^"]*?(\/assets\/[^"]+\.js)"/g)].map((match) => match[1] ?? "");
  const facts = { running: running.join(" "), served: served.join(" "), ...traced(response) };
  if (served.length === 0) return failed("the server has no page, or another one", facts);
  return running.every((path) => served.includes(path)) ? passed(facts) : failed("an old page runs here", facts);
}

async function serviceWorker(around: Surroundings): Promise<Found> {
  const known = await around.workers();
  if (known === undefined) return skipped("no service worker here: they need https or localhost");
  if (known.length === 0) return skipped("none is registered");
  const waiting = known.filter((it) => it.waiting);
  const facts = { n: known.length, scope: known[0]?.scope ?? "", script: known[0]?.active?.scriptURL ?? "" };
  return waiting.length > 0 ? warned("a new version waits until all tabs are closed", facts) : passed(facts);
}

/** Errors since the page was loaded. */
async function script({ ring }: Surroundings): Promise<Found> {
  const last = ring.errors.at(-1);
  if (!last) return passed({ n: 0 });
  const n = ring.errors.reduce((sum, { count }) => sum + count, 0);
  const stack = last.stack.split("\n").slice(0, 4).join(" | ");
  return failed("a script of the page failed", { message: last.message, at: last.source, stack, n });
}

async function contentPolicy({ ring }: Surroundings): Promise<Found> {
  const last = ring.blocked.at(-1);
  if (!last) return passed({ n: 0 });
  return failed("the page's security policy blocked something", { uri: last.message, directive: last.source });
}

const NEARLY_FULL = 0.95;

async function storage(around: Surroundings): Promise<Found> {
  try {
    const local = around.storage();
    local.setItem("qwell.probe", "1");
    local.removeItem("qwell.probe");
  } catch (error) {
    return warned("the browser keeps nothing for this page: private mode, or blocked", { error: nameOf(error) });
  }
  const { usage = 0, quota = 0 } = (await around.quota()) ?? {};
  const facts = { used_mb: Math.round(usage / 1e6), quota_mb: Math.round(quota / 1e6) };
  return quota > 0 && usage > NEARLY_FULL * quota ? warned("the browser's storage is full", facts) : passed(facts);
}

async function mixedContent(around: Surroundings): Promise<Found> {
  if (around.location.protocol !== "https:") return skipped("the page is not served over https");
  const plain = around.resources().filter((url) => url.startsWith("http:"));
  return plain.length > 0 ? failed("an https page asks for http", { url: plain[0] ?? "", n: plain.length }) : passed();
}

/** Everything is asked of the address that the page came from. */
async function address(around: Surroundings): Promise<Found> {
  const { origin, protocol } = around.location;
  if (!protocol.startsWith("http")) return failed("the page was opened as a file", { address: around.location.href });
  const foreign = around.resources().filter((url) => /^(?:https?|wss?):/.test(url) && !url.startsWith(origin));
  return foreign.length > 0 ? failed("another address is asked", { address: foreign[0] ?? "" }) : passed({ address: origin });
}

// ---- the ways to ask

function get(around: Surroundings, path: string): Promise<Response> {
  return around.fetch(path, { ...limited(), headers: { accept: path === "/" ? "text/html" : "application/json" } });
}

function limited(): RequestInit {
  return { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) };
}

/** The id under which the server's log has this request. */
function traced(response: Response): { request_id?: string } {
  const id = response.headers.get("x-request-id");
  return id === null ? {} : { request_id: id };
}

async function problemOf(response: Response): Promise<string> {
  const body = (await response.json().catch(() => null)) as { type?: unknown } | null;
  return typeof body?.type === "string" ? (body.type.split("/faults/")[1] ?? "") : "";
}

const since = (started: number): number => Math.round(performance.now() - started);
const round = (x: number): number => Math.round(100 * x) / 100;
const nameOf = (error: unknown): string => (error instanceof Error ? `${error.name}: ${error.message}` : String(error));
