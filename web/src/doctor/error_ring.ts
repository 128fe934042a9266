/**
 * The last errors of scripts on this page, and what its security policy has blocked. Listens from
 * the first moment on, so it is loaded before anything else. Judges nothing, sends nothing.
 */

export interface Recorded {
  message: string;
  source: string; // file:line:column, or the directive that blocked
  stack: string;
  at: number; // ms since 1970
  count: number; // one after another, the same
}

export const RING_SIZE = 20;

export class ErrorRing {
  readonly errors: Recorded[] = [];
  readonly blocked: Recorded[] = [];

  noteError(message: string, source: string, stack: string): void {
    note(this.errors, { message, source, stack, at: Date.now(), count: 1 });
  }

  noteBlocked(uri: string, directive: string): void {
    note(this.blocked, { message: uri, source: directive, stack: "", at: Date.now(), count: 1 });
  }

  listen(target: Window): void {
    target.addEventListener("error", (event) => {
      const { message, filename, lineno, colno, error } = event;
      if (BENIGN.test(message)) return;
      this.noteError(message, `${filename}:${lineno}:${colno}`, stackOf(error));
    });
    target.addEventListener("unhandledrejection", ({ reason }) => {
      this.noteError(String(reason?.message ?? reason), "promise", stackOf(reason));
    });
    target.document.addEventListener("securitypolicyviolation", (event) => {
      this.noteBlocked(event.blockedURI, event.effectiveDirective);
    });
  }
}

const BENIGN = /^ResizeObserver loop/; // the browser's word for "drawn in the next frame"

function note(ring: Recorded[], recorded: Recorded): void {
  const last = ring.at(-1);
  if (last && last.message === recorded.message && last.source === recorded.source) {
    last.count += 1;
    last.at = recorded.at;
    return;
  }
  ring.push(recorded);
  if (ring.length > RING_SIZE) ring.shift();
}

function stackOf(reason: unknown): string {
  return reason instanceof Error ? (reason.stack ?? "") : "";
}

export const errorRing = new ErrorRing();
if (typeof window !== "undefined") errorRing.listen(window);
