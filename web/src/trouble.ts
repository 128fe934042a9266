/** Whoever meets trouble with the server says so here, and whoever watches it hears of it. Knows neither. */

const listeners = new Set<() => void>();

export function noticeTrouble(): void {
  for (const tell of listeners) tell();
}

/** Gives the way to stop listening. */
export function onTrouble(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
