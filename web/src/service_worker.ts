/**
 * Makes the page open without its server, and never an old page with a new one.
 *
 * The document comes from the network whenever that answers; files with a hash in their name come from
 * the cache, for they never change. Nothing else is touched, neither API nor streams.
 */

// oxlint-disable-next-line no-underscore-dangle -- set by vite.config.ts
declare const __ASSETS__: readonly string[]; // every script and style of this build

/** The few parts of a worker's world that are used here; TypeScript knows only one world at a time. */
interface Waiting extends Event {
  waitUntil(promise: Promise<unknown>): void;
}

interface Fetching extends Event {
  request: Request;
  respondWith(response: Promise<Response>): void;
}

interface WorkerScope {
  addEventListener(type: "install" | "activate", listener: (event: Waiting) => void): void;
  addEventListener(type: "fetch", listener: (event: Fetching) => void): void;
  skipWaiting(): Promise<void>;
  clients: { claim(): Promise<void> };
}

const scope = self as unknown as WorkerScope;
const PAGE = "/";
const DOCUMENT = "document";
const BUILD = `assets ${__ASSETS__.join(" ")}`;
const KEPT_BUILDS = 2; // a tab that is still open may ask for a part of the build before

scope.addEventListener("install", (event) => event.waitUntil(install()));
scope.addEventListener("activate", (event) => event.waitUntil(activate()));
scope.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (url.pathname.startsWith("/assets/")) event.respondWith(asset(request));
  else if (request.mode === "navigate" && url.pathname === PAGE && url.search === "") {
    event.respondWith(page(request));
  }
});

async function install(): Promise<void> {
  const cache = await caches.open(BUILD);
  await cache.addAll(__ASSETS__.map((name) => `/${name}`));
  await keep(await fetch(PAGE, { cache: "no-store" }));
  await scope.skipWaiting();
}

async function activate(): Promise<void> {
  const builds = (await caches.keys()).filter((name) => name.startsWith("assets "));
  await Promise.all(builds.slice(0, -KEPT_BUILDS).map((name) => caches.delete(name)));
  await scope.clients.claim();
}

async function asset(request: Request): Promise<Response> {
  const kept = await caches.match(request);
  if (kept) return kept;
  const response = await fetch(request);
  if (response.ok) await (await caches.open(BUILD)).put(request, response.clone());
  return response;
}

/** A server that is away, also behind a proxy that says so, leaves the page as it was last. */
async function page(request: Request): Promise<Response> {
  const response = await fetch(request).catch(() => undefined);
  if (response?.ok) await keep(response.clone());
  if (response && response.status < 500) return response;
  return (await caches.match(PAGE)) ?? response ?? Response.error();
}

/** Not while the server writes trouble into it: that would be shown when it is long over. */
async function keep(response: Response): Promise<void> {
  const html = await response.clone().text();
  if (html.includes('<div id="root"></div>')) await (await caches.open(DOCUMENT)).put(PAGE, response);
}
