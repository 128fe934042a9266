/** Keys that work anywhere on the page. Knows no component. */

import { useEffect, useRef } from "react";

export interface Shortcuts {
  onNew: () => void;
  onSearch: () => void;
  onSettings: () => void;
  onHelp: () => void;
  onEscape: () => void;
}

export function useShortcuts(shortcuts: Shortcuts): void {
  const latest = useRef(shortcuts);
  useEffect(() => {
    latest.current = shortcuts;
  });
  useEffect(() => {
    const act = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.isComposing) return;
      const action = actionOf(event, latest.current);
      if (!action) return;
      event.preventDefault();
      action();
    };
    addEventListener("keydown", act);
    return () => removeEventListener("keydown", act);
  }, []);
}

function actionOf(event: KeyboardEvent, shortcuts: Shortcuts): (() => void) | undefined {
  const { key, shiftKey, altKey } = event;
  if (key === "Escape") return isInDialog(event) ? undefined : shortcuts.onEscape;
  if (!(event.ctrlKey || event.metaKey) || altKey) return undefined;
  if (shiftKey) return key.toLowerCase() === "o" ? shortcuts.onNew : undefined;
  if (key.toLowerCase() === "k") return shortcuts.onSearch;
  if (key === ",") return shortcuts.onSettings;
  return key === "/" ? shortcuts.onHelp : undefined;
}

/** Dialogs and menus close themselves. */
function isInDialog({ target }: KeyboardEvent): boolean {
  return target instanceof Element && target.closest("[role=dialog], [role=menu], .question-editor") !== null;
}
