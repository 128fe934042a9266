import { expect, test } from "vitest";
import { ErrorRing } from "../../src/doctor/error_ring";
import { factOf, type Finding } from "../../src/doctor/findings";
import { firstAid } from "../../src/doctor/first_aid";
import type { ProbeName, Surroundings } from "../../src/doctor/probes";
import { post, PROBE_NAMES, selfTest } from "../../src/doctor/selftest";
import { around, healthy, ORIGIN, type Serve } from "./around";

const PLACE = { origin: ORIGIN, hostname: "box", port: "8000", protocol: "http:" };

async function one(check: ProbeName, serve: Serve = healthy, changes: Partial<Surroundings> = {}): Promise<Finding> {
  const [finding] = await selfTest({ only: [check], around: around(serve, changes) });
  if (!finding) throw new Error(`${check} was not run`);
  return finding;
}

test("a browser that is well has no finding, and no probe is left out", async () => {
  const findings = await selfTest({ around: around() });
  expect(findings.map(({ check }) => check).toSorted()).toEqual(PROBE_NAMES.toSorted());
  expect(findings.filter(({ status }) => status !== "pass" && status !== "skip")).toEqual([]);
  expect(firstAid(findings, PLACE)).toBeUndefined();
});

test("each finding that the server took part in names the request", async () => {
  const findings = await selfTest({ around: around() });
  const traced = findings.filter((it) => factOf(it, "request_id") !== undefined).map(({ check }) => check);
  expect(traced).toEqual(expect.arrayContaining(["browser.reachable", "browser.cors", "browser.api_json", "browser.clock"]));
});

test("without a server the rest is skipped, and the page says where to look", async () => {
  const gone: Serve = () => Promise.reject(new TypeError("Failed to fetch"));
  const findings = await selfTest({ around: around(gone) });
  const byName = new Map(findings.map((it) => [it.check, it]));
  expect(byName.get("browser.reachable")?.status).toBe("fail");
  expect(byName.get("browser.websocket")?.status).toBe("skip");
  expect(byName.get("browser.storage")?.status).toBe("pass");
  const aid = firstAid(findings, PLACE);
  expect(aid).toMatchObject({ kind: "refused", fault: "backend-not-listening", address: ORIGIN, isLocal: false });
  expect(aid?.commands).toContain("qwell serve --port 8000");
});

test("a device without a network is told apart from a server that is gone", async () => {
  const gone: Serve = () => Promise.reject(new TypeError("Failed to fetch"));
  const findings = await selfTest({ around: around(gone, { isOnline: () => false }) });
  expect(firstAid(findings, PLACE)?.kind).toBe("offline");
});

test("a refused origin is named with the address to allow, and not blamed on the WebSocket", async () => {
  const serve: Serve = (path, init) =>
    init.method === "POST"
      ? Response.json({ type: "/faults/cors-blocked" }, { status: 403, headers: { "x-request-id": "r1" } })
      : healthy(path);
  const findings = await selfTest({ around: around(serve) });
  expect(findings.find(({ check }) => check === "browser.websocket")?.status).toBe("skip");
  const aid = firstAid(findings, PLACE);
  expect(aid).toMatchObject({ kind: "cors", fault: "cors-blocked", requestId: "r1" });
  expect(aid?.commands).toContain(`qwell serve --cors-origin ${ORIGIN}`);
});

test("a page in place of the API", async () => {
  const serve: Serve = (path) =>
    path === "/version" ? new Response("<html>", { headers: { "content-type": "text/html" } }) : healthy(path);
  expect((await one("browser.api_json", serve)).status).toBe("fail");
  expect(firstAid([await one("browser.api_json", serve)], PLACE)?.kind).toBe("html");
});

test("frames that come all at once have been held", async () => {
  const all = Array.from({ length: 10 }, (_, seq) => `data: {"seq": ${seq}}\n\n`).join("");
  const serve: Serve = (path) => (path.startsWith("/api/selftest/stream") ? new Response(all) : healthy(path));
  const finding = await one("browser.stream_pacing", serve);
  expect(finding).toMatchObject({ status: "fail", because: "the stream arrives in one piece" });
  expect(factOf(finding, "n_frames")).toBe(10);
});

test("frames that are missing are no matter of pacing", async () => {
  const serve: Serve = (path) =>
    path.startsWith("/api/selftest/stream") ? new Response('data: {"seq": 0}\n\n') : healthy(path);
  expect((await one("browser.stream_pacing", serve)).because).toBe("the stream breaks off");
  expect((await one("browser.long_poll", serve)).status).toBe("fail");
});

test("a socket that is refused", async () => {
  class Refused extends EventTarget {
    constructor() {
      super();
      queueMicrotask(() => this.dispatchEvent(new Event("error")));
    }
    close(): void {}
  }
  const finding = await one("browser.websocket", healthy, { WebSocket: Refused as unknown as typeof WebSocket });
  expect(finding.status).toBe("fail");
  expect(factOf(finding, "url")).toBe("ws://box:8000/ws/chat");
});

test.each([
  [0, "pass"],
  [50_000, "pass"],
  [-120_000, "fail"],
  [3_600_000, "fail"],
])("a clock that is %i ms ahead: %s", async (ahead, status) => {
  expect((await one("browser.clock", healthy, { now: () => Date.now() + ahead })).status).toBe(status);
});

test("an old page is told by the names of its scripts", async () => {
  const finding = await one("browser.fresh_page", healthy, { scripts: () => ["/assets/index-0.js"] });
  expect(finding.status).toBe("fail");
  expect(factOf(finding, "served")).toBe("/assets/index-1.js");
});

test("an error of a script comes with its stack and how often", async () => {
  const ring = new ErrorRing();
  ring.noteError("x is undefined", "/assets/a.js:1:2", "TypeError\n  at f\n  at g");
  ring.noteError("x is undefined", "/assets/a.js:1:2", "TypeError\n  at f\n  at g");
  const finding = await one("browser.script", healthy, { ring });
  expect(finding.status).toBe("fail");
  expect(factOf(finding, "n")).toBe(2);
  expect(factOf(finding, "stack")).toContain("at f");
});

test("the ring hears errors, rejections and what the policy blocks, and stays small", () => {
  const ring = new ErrorRing();
  ring.listen(window);
  window.dispatchEvent(new ErrorEvent("error", { message: "boom", filename: "a.js", lineno: 3, colno: 4 }));
  window.dispatchEvent(new ErrorEvent("error", { message: "ResizeObserver loop limit exceeded" }));
  expect(ring.errors.map(({ message, source }) => [message, source])).toEqual([["boom", "a.js:3:4"]]);
  for (let n = 0; n < 50; n += 1) ring.noteError(`${n}`, "", "");
  expect(ring.errors).toHaveLength(20);
});

test("storage that is blocked, and storage that is full", async () => {
  const blocked = (): Storage => {
    throw new DOMException("denied", "SecurityError");
  };
  expect((await one("browser.storage", healthy, { storage: blocked })).status).toBe("warn");
  const full = { quota: async () => ({ usage: 99, quota: 100 }) };
  expect((await one("browser.storage", healthy, full)).because).toContain("full");
});

test("http inside https, and an address of somebody else", async () => {
  const location = { href: "https://box/", origin: "https://box", host: "box", protocol: "https:" };
  const changes = { location, resources: () => ["http://box/api"] };
  expect((await one("browser.mixed_content", healthy, changes)).status).toBe("fail");
  expect((await one("browser.address", healthy, changes)).status).toBe("fail");
});

test("a probe that breaks is an error, never a fault", async () => {
  const finding = await one("browser.service_worker", healthy, { workers: () => Promise.reject(new Error("odd")) });
  expect(finding.status).toBe("error");
});

test("what is posted has no more fields than the server takes", async () => {
  let sent: { findings: Record<string, unknown>[]; layers: string[] } | undefined;
  const fetching = async (_: unknown, init?: RequestInit): Promise<Response> => {
    sent = JSON.parse(String(init?.body));
    return Response.json({});
  };
  expect(await post(await selfTest({ around: around() }), fetching as typeof fetch)).toBe(true);
  expect(sent?.layers).toEqual(["browser"]);
  expect(Object.keys(sent?.findings[0] ?? {}).toSorted()).toEqual(["because", "check", "evidence", "status"]);
  expect(await post([], () => Promise.reject(new TypeError()))).toBe(false);
});
