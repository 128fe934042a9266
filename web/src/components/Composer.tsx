/**
 * Where the person writes. Enter sends, Shift+Enter breaks the line, an input method's Enter does
 * neither. A slash offers commands, arrow up earlier messages; files come by drop, paste or choice.
 */

import { PaperClipOutlined } from "@ant-design/icons";
import { Sender, type SenderProps } from "@ant-design/x";
import { Button } from "antd";
import { memo, useEffect, useRef, useState, type ChangeEvent, type ComponentRef, type JSX, type KeyboardEvent } from "react";
import { matching, toCommand, type Command, type CommandName } from "../commands";
import { NO_DRAFT, readDraft, toMessage, writeDraft, type Draft } from "../drafts";
import { useDrop } from "../drop";
import { useTexts } from "../i18n";
import { useSupport } from "../support";
import { looksLikeLog, readTextFile } from "../text_file";
import { CommandMenu } from "./CommandMenu";
import { FileChips } from "./FileChips";

interface Props {
  conversationId: string | null;
  isRunning: boolean;
  canAsk: boolean; // false while the conversation has not been fetched
  sent: () => readonly string[]; // earlier messages, newest first
  onAsk: (content: string) => void;
  onStop: () => void;
  onCommand: (command: Command) => void;
  onRemark: (text: string) => void;
}

/** Drawn again only when what is written changes, or whether it may be sent. */
export const Composer = memo((props: Props) => {
  const { conversationId, isRunning, canAsk, onAsk, onStop, onCommand } = props;
  const texts = useTexts();
  const support = useSupport();
  const sender = useRef<ComponentRef<typeof Sender>>(null);
  const [draft, setDraft] = useDraft(conversationId);
  const addFiles = useFiles(draft, setDraft, props.onRemark);
  const isDropping = useDrop(addFiles);
  const earlier = useEarlier(props.sent, draft.text, (text) => setDraft({ ...draft, text }));
  const menu = useMenu(draft.text);
  const focus = (): void => sender.current?.focus({ cursor: "end" });

  const run = (command: Command): void => {
    setDraft({ ...draft, text: "" });
    onCommand(command);
  };
  const choose = (name: CommandName): void => {
    if (name !== "system") return run({ name, rest: "" });
    setDraft({ ...draft, text: "/system " });
    return focus();
  };
  const submit = (): void => {
    const command = draft.files.length === 0 ? toCommand(draft.text) : undefined;
    if (command) return run(command);
    const message = toMessage(draft);
    if (message === "" || isRunning || !canAsk) return undefined;
    setDraft(NO_DRAFT);
    return onAsk(message);
  };
  const onKeyDown = (event: KeyboardEvent): false | undefined => {
    // some input methods end a composition with a key that reports itself as Enter
    if (event.nativeEvent.isComposing || event.keyCode === 229) return false;
    const isTaken = menu.onKey(event, choose) || earlier.onKey(event);
    if (isTaken) event.preventDefault();
    return isTaken ? false : undefined;
  };
  const log = draft.files.find(looksLikeLog) ?? pastedLog(draft.text);
  return (
    <footer className={isDropping ? "composer dropping" : "composer"}>
      <div className="column">
        {menu.names.length > 0 && <CommandMenu names={menu.names} at={menu.at} onChoose={choose} />}
        {log && (
          <output className="offer">
            <span>{texts.looksLikeLog}</span>
            <Button size="small" type="link" onClick={() => support({ kind: "log", file: log })}>
              {texts.diagnoseLog}
            </Button>
          </output>
        )}
        <FileChips
          files={draft.files}
          onRemove={(file) => setDraft({ ...draft, files: draft.files.filter((it) => it !== file) })}
        />
        <Sender
          ref={sender}
          value={draft.text}
          onChange={(text) => setDraft({ ...draft, text })}
          onSubmit={submit}
          onCancel={onStop}
          loading={isRunning}
          placeholder={isDropping ? texts.dropHere : texts.placeholder}
          autoSize={{ minRows: 1, maxRows: 8 }}
          onPasteFile={(files) => addFiles([...files])}
          onKeyDown={onKeyDown}
          prefix={<FileButton onFiles={addFiles} />}
          suffix={isRunning ? <StopButton onStop={onStop} /> : sendButton(texts.send, draft, submit)}
        />
        <p className="hint">{texts.hint}</p>
      </div>
    </footer>
  );
});
Composer.displayName = "Composer";

/** A file alone can be sent, too: the button of the library wants text. */
function sendButton(label: string, draft: Draft, submit: () => void): SenderProps["suffix"] {
  const isFileAlone = draft.text.trim() === "" && draft.files.length > 0;
  return (_, { components: { SendButton } }) => (
    <SendButton aria-label={label} title={label} {...(isFileAlone && { disabled: false, onClick: submit })} />
  );
}

/** The library's own turns all the time, which costs a weak machine more than the text. */
function StopButton({ onStop }: { onStop: () => void }): JSX.Element {
  const { stop } = useTexts();
  const square = <span className="stop-square" />;
  return <Button type="primary" shape="circle" icon={square} aria-label={stop} title={stop} onClick={onStop} />;
}

function pastedLog(text: string): { name: string; text: string } | undefined {
  const pasted = { name: "", text };
  return text.includes("\n") && looksLikeLog(pasted) ? pasted : undefined;
}

/** The draft of a conversation, kept in the browser while it is written. */
function useDraft(id: string | null): [Draft, (draft: Draft) => void] {
  const [held, setHeld] = useState({ id, draft: readDraft(id) });
  const current = held.id === id ? held.draft : readDraft(id);
  if (held.id !== id) setHeld({ id, draft: current });
  const change = (draft: Draft): void => {
    setHeld({ id, draft });
    writeDraft(id, draft);
  };
  return [current, change];
}

/** Takes files into the draft; says which it cannot take. */
function useFiles(draft: Draft, setDraft: (draft: Draft) => void, onRemark: (text: string) => void) {
  const texts = useTexts();
  const latest = useRef({ draft, setDraft });
  useEffect(() => {
    latest.current = { draft, setDraft };
  });
  return async (files: readonly File[]): Promise<void> => {
    const read = await Promise.all(files.map((file) => readTextFile(file)));
    const taken = read.filter((it) => typeof it !== "string");
    const { draft: now, setDraft: set } = latest.current;
    if (taken.length > 0) set({ ...now, files: [...now.files, ...taken] });
    const refused = read.findIndex((it) => typeof it === "string");
    const name = files[refused]?.name;
    if (name !== undefined) onRemark(read[refused] === "large" ? texts.fileTooLarge(name) : texts.fileNotText(name));
  };
}

interface Menu {
  names: readonly CommandName[];
  at: number;
  onKey: (event: KeyboardEvent, choose: (name: CommandName) => void) => boolean; // true: it was for the menu
}

/** Commands that fit what is typed, until Escape closes them. */
function useMenu(text: string): Menu {
  const [closedFor, setClosedFor] = useState<string | null>(null);
  const [place, setPlace] = useState({ text, at: 0 });
  const names = text === closedFor ? [] : matching(text);
  const at = place.text === text ? place.at : 0;
  const onKey: Menu["onKey"] = ({ key, shiftKey }, choose) => {
    const name = names[at];
    if (name === undefined || shiftKey) return false;
    if (key === "ArrowDown" || key === "ArrowUp") {
      const step = key === "ArrowDown" ? 1 : -1;
      setPlace({ text, at: (at + step + names.length) % names.length });
    } else if (key === "Escape") setClosedFor(text);
    else if (key === "Enter" || key === "Tab") choose(name);
    else return false;
    return true;
  };
  return { names, at, onKey };
}

interface Earlier {
  onKey: (event: KeyboardEvent) => boolean;
}

/** Arrow up in an empty field brings earlier messages, arrow down the way back. */
function useEarlier(sent: () => readonly string[], text: string, write: (text: string) => void): Earlier {
  const place = useRef({ at: -1, text: "" });
  return {
    onKey: ({ key }) => {
      const isThere = place.current.at >= 0 && place.current.text === text;
      if (!isThere) place.current.at = -1;
      if ((key !== "ArrowUp" && key !== "ArrowDown") || (text !== "" && !isThere)) return false;
      const at = place.current.at + (key === "ArrowUp" ? 1 : -1);
      const found = sent()[at];
      if (at >= 0 && found === undefined) return true;
      if (at < -1) return false;
      place.current = { at, text: found ?? "" };
      write(found ?? "");
      return true;
    },
  };
}

function FileButton({ onFiles }: { onFiles: (files: readonly File[]) => void }): JSX.Element {
  const texts = useTexts();
  const input = useRef<HTMLInputElement>(null);
  const take = (event: ChangeEvent<HTMLInputElement>): void => {
    onFiles([...(event.target.files ?? [])]);
    event.target.value = ""; // the same file may be chosen again
  };
  return (
    <>
      <Button
        type="text"
        shape="circle"
        icon={<PaperClipOutlined />}
        aria-label={texts.attach}
        title={texts.attach}
        onClick={() => input.current?.click()}
      />
      <input ref={input} type="file" multiple hidden aria-label={texts.attach} onChange={take} />
    </>
  );
}
