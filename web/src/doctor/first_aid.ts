/**
 * What can be said without the server: from the browser's own findings to what to do next, with
 * commands for the address that the person uses. Draws nothing; guesses nothing beyond the browser.
 */

import { factOf, isWrong, type Finding } from "./findings";
import type { ProbeName } from "./probes";

export type AidKind = "offline" | "refused" | "silent" | "html" | "cors";

export interface FirstAid {
  kind: AidKind;
  fault: string; // the catalogue's name for it
  probe: ProbeName; // passes when it is over
  address: string;
  isLocal: boolean; // the server's machine is this one
  commands: string[];
  requestId: string;
}

interface Place {
  origin: string;
  hostname: string;
  port: string;
  protocol: string;
}

/** undefined: the server can be reached and listens to this page, so its own doctor knows more. */
export function firstAid(findings: readonly Finding[], place: Place): FirstAid | undefined {
  const wrong = (check: ProbeName): Finding | undefined => findings.find((it) => it.check === check && isWrong(it));
  const shared = { address: place.origin, isLocal: isLocal(place.hostname), requestId: "" };
  const unreached = wrong("browser.reachable");
  if (unreached) {
    const kind = kindOf(String(factOf(unreached, "how")));
    const fault = kind === "silent" ? "firewall-blocked" : "backend-not-listening";
    return { ...shared, kind, fault, probe: "browser.reachable", commands: commandsFor(kind, place) };
  }
  const other = wrong("browser.api_json");
  if (other) return { ...shared, kind: "html", fault: "api-returns-html", probe: "browser.api_json", commands: commandsFor("html", place) };
  const refused = wrong("browser.cors");
  if (!refused) return undefined;
  const requestId = String(factOf(refused, "request_id") ?? "");
  return { ...shared, kind: "cors", fault: "cors-blocked", probe: "browser.cors", commands: commandsFor("cors", place), requestId };
}

function kindOf(how: string): AidKind {
  if (how === "offline") return "offline";
  return how === "refused" ? "refused" : "silent";
}

function isLocal(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || hostname.startsWith("127.");
}

function commandsFor(kind: AidKind, { origin, port, protocol }: Place): string[] {
  const number = port || (protocol === "https:" ? "443" : "80");
  const isBehindProxy = number === "80" || number === "443"; // qwell itself seldom has these
  const serve = isBehindProxy ? "qwell serve" : `qwell serve --port ${number}`;
  switch (kind) {
    case "offline":
      return [];
    case "refused":
      return [`ss -ltnp | grep ':${number}'`, serve, "docker compose ps", "docker compose logs --tail 50"];
    case "silent":
      return [`curl -m 5 ${origin}/health`, `qwell doctor --url ${origin}`, `ss -ltnp | grep ':${number}'`];
    case "html":
      return [`curl -si ${origin}/version | head -20`, `ss -ltnp | grep ':${number}'`];
    case "cors":
      return ["proxy_set_header Host $http_host;", `qwell serve --cors-origin ${origin}`];
  }
}
