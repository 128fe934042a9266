/** What the server's catalogue says about a fault, in both languages. Draws nothing. */

import { useEffect, useState } from "react";
import { ask } from "./ask";
import type { Language } from "./i18n";

export type Bilingual = Record<Language, string>;

export interface Remedy {
  do: Bilingual;
  commands: readonly string[];
}

export interface Fault {
  title: Bilingual;
  summary: Bilingual;
  remedies: readonly Remedy[];
}

const known = new Map<string, Promise<Fault>>();

/** undefined until it is there, and when the server is not: the page then shows what it has. */
export function useFault(code: string, isWanted: boolean): Fault | undefined {
  const [fault, setFault] = useState<Fault>();
  useEffect(() => {
    if (!isWanted) return undefined;
    let isGone = false;
    fetchFault(code).then(
      (it) => isGone || setFault(it),
      () => known.delete(code), // the next card asks again
    );
    return () => {
      isGone = true;
    };
  }, [code, isWanted]);
  return fault;
}

function fetchFault(code: string): Promise<Fault> {
  const fetched = known.get(code) ?? load(code);
  known.set(code, fetched);
  return fetched;
}

async function load(code: string): Promise<Fault> {
  const response = await ask(`/api/faults/${encodeURIComponent(code)}`, {});
  return (await response.json()) as Fault;
}
