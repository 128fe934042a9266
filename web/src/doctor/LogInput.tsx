/** Where the person writes or pastes, and where a log can be dropped. */

import { PaperClipOutlined, SendOutlined } from "@ant-design/icons";
import { Button } from "antd";
import { useRef, useState, type DragEvent, type JSX, type KeyboardEvent } from "react";
import { readTextFile } from "../text_file";
import { useWords } from "./words";

interface Props {
  placeholder: string;
  isBusy: boolean;
  draft: string;
  onDraft: (text: string) => void;
  onSend: (text: string) => void;
}

const MOST_ROWS = 10;

export function LogInput({ placeholder, isBusy, draft, onDraft, onSend }: Props): JSX.Element {
  const words = useWords();
  const [isOver, setIsOver] = useState(false);
  const [remark, setRemark] = useState("");
  const file = useRef<HTMLInputElement>(null);
  const submit = (): void => {
    if (draft.trim() === "" || isBusy) return;
    onSend(draft.trim());
    onDraft("");
  };
  const take = async (files: FileList | null | undefined): Promise<void> => {
    const [first] = files ?? [];
    if (!first) return;
    const read = await readTextFile(first);
    if (typeof read === "string") return setRemark(read === "large" ? words.logTooLarge : words.logNotText);
    setRemark("");
    onDraft(draft.trim() === "" ? read.text : `${draft.trimEnd()}\n\n${read.text}`);
  };
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    event.stopPropagation(); // the chat takes files that are dropped anywhere else
    dispatchEvent(new globalThis.DragEvent("dragleave"));
    setIsOver(false);
    void take(event.dataTransfer.files);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit();
  };
  return (
    <form
      className={isOver ? "log-input over" : "log-input"}
      onDragOver={(event) => {
        event.preventDefault();
        setIsOver(true);
      }}
      onDragLeave={() => setIsOver(false)}
      onDrop={drop}
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <textarea
        value={draft}
        aria-label={placeholder}
        placeholder={isOver ? words.dropLog : placeholder}
        rows={Math.min(MOST_ROWS, Math.max(2, draft.split("\n").length))}
        onChange={(event) => onDraft(event.target.value)}
        onKeyDown={onKeyDown}
      />
      <div>
        <Button
          type="text"
          icon={<PaperClipOutlined />}
          aria-label={words.addLog}
          title={words.addLog}
          onClick={() => file.current?.click()}
        />
        <span role="status">{remark}</span>
        <Button
          type="primary"
          htmlType="submit"
          shape="circle"
          icon={<SendOutlined />}
          aria-label={words.send}
          title={words.send}
          disabled={draft.trim() === "" || isBusy}
        />
      </div>
      <input
        ref={file}
        type="file"
        hidden
        aria-label={words.addLog}
        onChange={(event) => {
          void take(event.target.files);
          event.target.value = "";
        }}
      />
    </form>
  );
}
