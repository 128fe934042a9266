/** Keeps a box that grows scrolled to its end, and yields to a reader who scrolls up. Draws nothing. */

import { useCallback, useEffect, useRef, useState, type RefObject } from "react";

const NEAR_END_PX = 48;

interface StuckToEnd {
  isAtEnd: boolean;
  toEnd: () => void;
}

/** Follows growth; stops when the reader scrolls up, goes on when they come back, ask, or count grows. */
export function useStuckToEnd(boxRef: RefObject<HTMLElement | null>, count: number): StuckToEnd {
  const isStuck = useRef(true);
  const [isAtEnd, setIsAtEnd] = useState(true);
  const seenCount = useRef(0);
  const toEnd = useCallback(() => {
    isStuck.current = true;
    if (boxRef.current) boxRef.current.scrollTop = boxRef.current.scrollHeight;
  }, [boxRef]);
  useEffect(() => {
    const element = boxRef.current;
    if (!element) return undefined;
    let [top, height] = [element.scrollTop, element.scrollHeight];
    const note = (): void => {
      const below = element.scrollHeight - element.scrollTop - element.clientHeight;
      // what was guessed too high and is now measured moves the view, too, but shrinks the whole
      const hasMovedUp = element.scrollTop < top - 1 && element.scrollHeight >= height;
      if (below < NEAR_END_PX) isStuck.current = true;
      else if (hasMovedUp) isStuck.current = false;
      [top, height] = [element.scrollTop, element.scrollHeight];
      setIsAtEnd(isStuck.current || below < NEAR_END_PX);
    };
    const follow = (): void => {
      if (isStuck.current) element.scrollTop = element.scrollHeight;
    };
    element.addEventListener("scroll", note, { passive: true });
    const growth = new ResizeObserver(follow);
    const watch = (): void => {
      growth.disconnect();
      growth.observe(element);
      for (const child of element.children) growth.observe(child);
    };
    const replaced = new MutationObserver(watch);
    replaced.observe(element, { childList: true });
    watch();
    return () => {
      element.removeEventListener("scroll", note);
      growth.disconnect();
      replaced.disconnect();
    };
  }, [boxRef]);
  useEffect(() => {
    if (count > seenCount.current) toEnd();
    seenCount.current = count;
  }, [count, toEnd]);
  return { isAtEnd, toEnd };
}
