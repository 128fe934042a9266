/** Offers for a while to bring back what was just deleted. */

import { Button } from "antd";
import { useEffect, type JSX } from "react";
import { useTexts } from "../i18n";

const OFFERED_MS = 8_000;

interface Props {
  onUndo: () => void;
  onExpire: () => void;
}

export function UndoBar({ onUndo, onExpire }: Props): JSX.Element {
  const texts = useTexts();
  useEffect(() => {
    const timer = setTimeout(onExpire, OFFERED_MS);
    return () => clearTimeout(timer);
  }, [onExpire]);
  return (
    <output className="undo">
      <span>{texts.deleted}</span>
      <Button type="link" size="small" onClick={onUndo}>
        {texts.undo}
      </Button>
    </output>
  );
}
