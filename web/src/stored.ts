/** Values that the browser remembers, in all of its tabs. Works without storage, for the visit. */

import { useCallback, useSyncExternalStore } from "react";

const PREFIX = "qwell.";
const memory = new Map<string, string>(); // where storage is blocked or full
const listeners = new Set<() => void>();

export function readStored(name: string): string | null {
  try {
    return localStorage.getItem(PREFIX + name) ?? memory.get(name) ?? null;
  } catch {
    return memory.get(name) ?? null;
  }
}

/** null forgets. */
export function writeStored(name: string, value: string | null): void {
  memory.delete(name);
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, value);
  } catch {
    if (value !== null) memory.set(name, value); // holds until the page is closed
  }
  for (const tell of listeners) tell();
}

/** The raw text, and a way to change it; follows other tabs. */
export function useStored(name: string): [string | null, (value: string | null) => void] {
  const value = useSyncExternalStore(subscribe, () => readStored(name));
  const write = useCallback((it: string | null) => writeStored(name, it), [name]);
  return [value, write];
}

function subscribe(tell: () => void): () => void {
  listeners.add(tell);
  addEventListener("storage", tell);
  return () => {
    listeners.delete(tell);
    removeEventListener("storage", tell);
  };
}
