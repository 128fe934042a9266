/** A panel beside the chat, or over it where there is no room. What is in it is loaded when it opens. */

import { CloseOutlined } from "@ant-design/icons";
import { Button, Spin } from "antd";
import { Suspense, useEffect, useRef, type JSX, type ReactNode } from "react";
import { useTexts } from "../i18n";

interface Props {
  title: string;
  onClose: () => void;
  children: ReactNode;
}

export function SidePanel({ title, onClose, children }: Props): JSX.Element {
  const texts = useTexts();
  const panel = useRef<HTMLElement>(null);
  useEffect(() => panel.current?.focus(), []);
  return (
    <aside className="side-panel" ref={panel} tabIndex={-1} aria-label={title}>
      <header>
        <h2>{title}</h2>
        <Button type="text" icon={<CloseOutlined />} aria-label={texts.close} title={texts.close} onClick={onClose} />
      </header>
      <div className="side-panel-body">
        <Suspense fallback={<Spin />}>{children}</Suspense>
      </div>
    </aside>
  );
}
