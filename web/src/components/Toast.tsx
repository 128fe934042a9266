/** Says for a while what just happened, and may offer to take it back. */

import { Button } from "antd";
import { useEffect, useRef, type JSX } from "react";

const SHOWN_MS = 8_000;

interface Props {
  text: string;
  action?: { label: string; onClick: () => void };
  onExpire?: () => void; // absent: it stays
}

export function Toast({ text, action, onExpire }: Props): JSX.Element {
  const expire = useRef(onExpire);
  useEffect(() => {
    expire.current = onExpire;
  });
  const stays = onExpire === undefined;
  useEffect(() => {
    if (stays) return undefined;
    const timer = setTimeout(() => expire.current?.(), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [stays]);
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
