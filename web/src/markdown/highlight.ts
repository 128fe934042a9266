/** Code as coloured pieces, once the highlighter has been loaded. Draws nothing. */

import { useEffect, useMemo, useState } from "react";

export type CodeNode =
  | { type: "text"; value: string }
  | { type: "element"; properties: { className?: string[] }; children: CodeNode[] };

type Highlight = (code: string, language: string) => readonly CodeNode[] | null;

const LONGEST = 60_000; // characters; longer code stays plain
const LONGEST_GROWING = 12_000; // what is drawn again and again must be cheap

let loaded: Highlight | undefined;

/**
 * null: to be shown as it is. While code grows, only its whole lines are coloured, so that a line
 * is looked at once and not with every character.
 */
export function useHighlighted(code: string, language: string, isGrowing: boolean): readonly CodeNode[] | null {
  const highlight = useHighlight(language !== "");
  const end = isGrowing ? code.lastIndexOf("\n") + 1 : code.length;
  const [whole, rest] = [code.slice(0, end), code.slice(end)];
  const isShort = code.length <= (isGrowing ? LONGEST_GROWING : LONGEST);
  const nodes = useMemo(
    () => (isShort ? (highlight?.(whole, language.toLowerCase()) ?? null) : null),
    [highlight, isShort, whole, language],
  );
  return nodes && [...nodes, { type: "text", value: rest }];
}

function useHighlight(isWanted: boolean): Highlight | undefined {
  const [highlight, setHighlight] = useState(() => loaded);
  useEffect(() => {
    if (!isWanted || highlight) return undefined;
    let isGone = false;
    const take = (it: { highlight: Highlight }): void => {
      loaded = it.highlight;
      if (!isGone) setHighlight(() => it.highlight);
    };
    import("./languages").then(take, () => undefined); // without it the code is plain
    return () => {
      isGone = true;
    };
  }, [isWanted, highlight]);
  return highlight;
}
