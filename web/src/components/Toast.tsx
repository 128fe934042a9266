/** Says for a while what just happened, and may offer to take it back. */

import { Button } from "antd";
import { useEffect, type JSX } from "react";

const SHOWN_MS = 8_000;

interface Props {
  text: string;
  action?: { label: string; onClick: () => void };
  onExpire: () => void;
}

export function Toast({ text, action, onExpire }: Props): JSX.Element {
  useEffect(() => {
    const timer = setTimeout(onExpire, SHOWN_MS);
    return () => clearTimeout(timer);
  }, [onExpire]);
  return (
    <output className="toast">
      <span>{text}</span>
      {action && (
        <Button type="link" size="small" onClick={action.onClick}>
          {action.label}
        </Button>
      )}
    </output>
  );
}
