/** Where the person writes. Enter sends, Shift+Enter breaks the line, an input method's Enter does neither. */

import { Sender } from "@ant-design/x";
import { useState, type JSX } from "react";
import { useTexts } from "../i18n";

interface Props {
  isRunning: boolean;
  canAsk: boolean; // false while the conversation has not been fetched
  onAsk: (content: string) => void;
  onStop: () => void;
}

export function Composer({ isRunning, canAsk, onAsk, onStop }: Props): JSX.Element {
  const texts = useTexts();
  const [draft, setDraft] = useState("");
  const submit = (message: string): void => {
    if (message.trim() === "" || isRunning || !canAsk) return;
    setDraft("");
    onAsk(message.trim());
  };
  return (
    <footer className="composer">
      <div className="column">
        <Sender
          value={draft}
          onChange={(value) => setDraft(value)}
          onSubmit={submit}
          onCancel={onStop}
          loading={isRunning}
          placeholder={texts.placeholder}
          autoSize={{ minRows: 1, maxRows: 8 }}
          onKeyDown={(event) => {
            // some input methods end a composition with a key that reports itself as Enter
            if (event.nativeEvent.isComposing || event.keyCode === 229) return false;
            return undefined;
          }}
        />
        <p className="hint">{texts.hint}</p>
      </div>
    </footer>
  );
}
