/** Layers from the machine up to the conversation, and the worst that was found in each. */

import type { ShownStatus } from "./support_events";

export const LAYERS = ["host", "container", "dependency", "model", "engine", "api", "network", "browser", "dialogue"] as const;

const GRAVITY: readonly ShownStatus[] = ["skip", "pass", "error", "warn", "running", "fail"];

/** undefined: nothing is known of it. */
export function worst(statuses: readonly ShownStatus[]): ShownStatus | undefined {
  return statuses.toSorted((a, b) => GRAVITY.indexOf(b) - GRAVITY.indexOf(a))[0];
}

export interface Looked {
  check: string;
  status: ShownStatus;
}

export function layerOf(check: string): string {
  return check.split(".", 1)[0] ?? "";
}

/** Later findings of a check replace earlier ones. */
export function byLayer(all: readonly Looked[]): ReadonlyMap<string, ShownStatus> {
  const newest = [...new Map(all.map((it) => [it.check, it.status]))];
  const known = new Map<string, ShownStatus>();
  for (const layer of new Set(newest.map(([check]) => layerOf(check)))) {
    const status = worst(newest.filter(([check]) => layerOf(check) === layer).map((it) => it[1]));
    if (status) known.set(layer, status);
  }
  return known;
}
