/** Where the person writes or pastes, and where a log can be dropped. */

import { PaperClipOutlined, SendOutlined } from "@ant-design/icons";
import { Button } from "antd";
import { useEffect, useRef, useState, type JSX, type KeyboardEvent, type RefObject } from "react";
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
const MOST_LOG_BYTES = 4 * 1024 * 1024; // as the server takes

export function LogInput({ placeholder, isBusy, draft, onDraft, onSend }: Props): JSX.Element {
  const words = useWords();
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
    const read = await readTextFile(first, MOST_LOG_BYTES);
    if (typeof read === "string") return setRemark(read === "large" ? words.logTooLarge : words.logNotText);
    setRemark("");
    onDraft(draft.trim() === "" ? read.text : `${draft.trimEnd()}\n\n${read.text}`);
  };
  const form = useRef<HTMLFormElement>(null);
  const isOver = useDropOn(form, (files) => void take(files));
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit();
  };
  return (
    <form
      className={isOver ? "log-input over" : "log-input"}
      ref={form}
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
        <output>{remark}</output>
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

/** True while a file is held over the element. The chat takes what is dropped anywhere else. */
function useDropOn(zone: RefObject<HTMLElement | null>, take: (files: FileList | undefined) => void): boolean {
  const [isOver, setIsOver] = useState(false);
  const latest = useRef(take);
  useEffect(() => {
    latest.current = take;
  });
  useEffect(() => {
    const over = (event: DragEvent): void => {
      event.preventDefault();
      setIsOver(true);
    };
    const leave = (): void => setIsOver(false);
    const drop = (event: DragEvent): void => {
      event.preventDefault();
      event.stopPropagation();
      dispatchEvent(new DragEvent("dragleave")); // the chat had seen it come
      setIsOver(false);
      latest.current(event.dataTransfer?.files);
    };
    const element = zone.current;
    element?.addEventListener("dragover", over);
    element?.addEventListener("dragleave", leave);
    element?.addEventListener("drop", drop);
    return () => {
      element?.removeEventListener("dragover", over);
      element?.removeEventListener("dragleave", leave);
      element?.removeEventListener("drop", drop);
    };
  }, [zone]);
  return isOver;
}
