/** Sets formulas with KaTeX, which makes nodes and no HTML. Loaded with the first formula. */

import { render } from "katex";
import "katex/dist/katex.min.css";

const BOUNDS = { maxSize: 40, maxExpand: 500 }; // em, macros: what a model writes must not hang the page

/** Puts the formula into an element; what is no TeX is shown as it is, marked. */
export function typeset(tex: string, element: HTMLElement, isDisplay: boolean): void {
  render(tex, element, {
    ...BOUNDS,
    displayMode: isDisplay,
    throwOnError: false,
    errorColor: "var(--bad)",
    strict: "ignore",
    trust: false,
  });
}
