/** A choice that the browser remembers: theme, language. Works without storage, for the visit. */

import { useCallback, useState } from "react";

export function usePreference<T extends string>(
  name: string,
  allowed: readonly T[],
  fallback: T,
): [T, (value: T) => void] {
  const key = `qwell.${name}`;
  const [value, setValue] = useState<T>(() => allowed.find((it) => it === read(key)) ?? fallback);
  const choose = useCallback(
    (chosen: T) => {
      setValue(chosen);
      write(key, chosen);
    },
    [key],
  );
  return [value, choose];
}

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // storage is blocked
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // storage is blocked or full: the choice holds until the page is closed
  }
}
