/** A choice among a few: theme, language, transport. */

import { useStored } from "./stored";

export function usePreference<T extends string>(
  name: string,
  allowed: readonly T[],
  fallback: T,
): [T, (value: T) => void] {
  const [value, write] = useStored(name);
  return [allowed.find((it) => it === value) ?? fallback, write];
}
