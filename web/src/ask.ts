/** Asks the server over HTTP and tells its refusals apart from lost connections. Knows no routes. */

import { acceptLanguage } from "./language";
import { failure, ProtocolError, type Failure } from "./stream/events";
import { noticeTrouble } from "./trouble";

/** The server understood and said no. */
export class Refused extends Error {
  constructor(readonly reason: Failure) {
    super(reason.code);
  }
}

type Asking = Omit<RequestInit, "headers"> & { headers?: Record<string, string> };

/** Throws Refused where the server itself says no, Error for anything that a later attempt may cure. */
export async function ask(url: string, init: Asking): Promise<Response> {
  const response = await reach(url, init);
  if (response.status >= 500) noticeTrouble();
  const isPage = response.headers.get("content-type")?.includes("text/html") ?? false;
  if (response.ok && isPage) throw new ProtocolError(`${url} is a page`);
  if (response.ok) return response;
  const problem = isPage ? undefined : await readProblem(response);
  if (problem) throw new Refused(problem);
  const fault = STATUS_FAULTS[response.status];
  if (fault) throw new Refused(failure(fault, retryOf(response)));
  throw new Error(`${url}: ${response.status}`);
}

async function reach(url: string, init: Asking): Promise<Response> {
  try {
    return await fetch(url, { ...init, headers: { ...acceptLanguage(), ...init.headers } });
  } catch (error) {
    if (!init.signal?.aborted) noticeTrouble();
    throw error;
  }
}

/** What a proxy in between means when it speaks without a problem document. */
const STATUS_FAULTS: Record<number, string> = {
  401: "auth-missing",
  403: "auth-missing",
  404: "api-base-wrong",
  413: "proxy-body-too-large",
  429: "rate-limited",
};

/** An RFC 9457 document as a failure; undefined when the response is none. */
async function readProblem(response: Response): Promise<Failure | undefined> {
  const problem = (await response.json().catch(() => null)) as Record<string, unknown> | null;
  const text = (key: string): string => (typeof problem?.[key] === "string" ? problem[key] : "");
  const code = text("type").split("/faults/")[1];
  if (!code) return undefined;
  const cause = [text("detail"), text("expected")].filter(Boolean).join(" → ");
  return failure(code, {
    title: text("title"),
    cause,
    fix: text("fix"),
    request_id: text("request_id"),
    ...retryOf(response),
  });
}

function retryOf(response: Response): { retry_after_s?: number } {
  const seconds = Number.parseFloat(response.headers.get("retry-after") ?? "");
  return seconds > 0 ? { retry_after_s: seconds } : {};
}
