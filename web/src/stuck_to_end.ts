/** Keeps a box that grows scrolled to its end, and yields to a reader who scrolls up. Draws nothing. */

import { useCallback, useEffect, useRef, useState, type RefObject } from "react";

const NEAR_END_PX = 48;
const TOUCHES = ["touchmove", "pointerdown", "keydown"]; // a scrollbar's, too
const TOUCH_MS = 800; // scrolling glides on after a touch

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
    let touchedAt = -Infinity;
    const touch = (): void => {
      touchedAt = performance.now();
    };
    // a wheel says what its reader wants before the view has moved; text that grows in between may not pull it back
    const turn = (event: WheelEvent): void => {
      touch();
      if (event.deltaY < 0 && !event.ctrlKey && element.scrollTop > 0) isStuck.current = false;
    };
    const beneath = (): number => element.scrollHeight - element.scrollTop - element.clientHeight;
    const note = (): void => {
      const below = beneath();
      // text that shrinks and grows again moves the view, too, and so does what was guessed and is now measured
      const isTouched = performance.now() - touchedAt < TOUCH_MS || element.scrollHeight === height;
      const up = top - element.scrollTop;
      const shrunk = Math.max(0, height - element.scrollHeight);
      if (below < (up > 0 ? 1 : NEAR_END_PX)) isStuck.current = true;
      else if (up > 1 && (isTouched || up > shrunk + element.clientHeight)) isStuck.current = false;
      [top, height] = [element.scrollTop, element.scrollHeight];
      setIsAtEnd(isStuck.current || below < NEAR_END_PX);
    };
    const follow = (): void => {
      if (isStuck.current) element.scrollTop = element.scrollHeight;
      else setIsAtEnd(beneath() < NEAR_END_PX);
    };
    element.addEventListener("scroll", note, { passive: true });
    element.addEventListener("wheel", turn, { passive: true });
    for (const event of TOUCHES) element.addEventListener(event, touch, { passive: true });
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
      element.removeEventListener("wheel", turn);
      for (const event of TOUCHES) element.removeEventListener(event, touch);
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
