/** Mathematics. The typesetter is loaded with the first formula; until then the source is shown. */

import { useEffect, useState, type JSX } from "react";

type Typeset = (tex: string, element: HTMLElement, isDisplay: boolean) => void;

let loaded: Typeset | undefined;

export function Formula({ tex, isDisplay }: { tex: string; isDisplay: boolean }): JSX.Element {
  const typeset = useTypesetter();
  const className = isDisplay ? "formula display" : "formula";
  if (!typeset) return <code className={className}>{tex}</code>;
  // the typesetter makes the nodes below this one itself; a wide formula scrolls
  return (
    <span
      key={tex}
      className={className}
      ref={(element) => {
        if (element) typeset(tex, element, isDisplay);
      }}
    />
  );
}

function useTypesetter(): Typeset | undefined {
  const [typeset, setTypeset] = useState(() => loaded);
  useEffect(() => {
    if (typeset) return undefined;
    let isGone = false;
    const take = (it: { typeset: Typeset }): void => {
      loaded = it.typeset;
      if (!isGone) setTypeset(() => it.typeset);
    };
    import("./typeset").then(take, () => undefined); // without it the source stays
    return () => {
      isGone = true;
    };
  }, [typeset]);
  return typeset;
}
