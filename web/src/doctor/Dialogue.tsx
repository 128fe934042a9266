/** One case from the complaint to the verified fix, top to bottom, with the way on at its end. */

import { Alert, Button } from "antd";
import { useEffect, useRef, type JSX } from "react";
import { WithCode } from "../components/WithCode";
import { useTexts } from "../i18n";
import type { Failure } from "../stream/events";
import { isEnd, openItem, type CaseView, type Item } from "./case_view";
import { Chain } from "./Chain";
import { Diagnosis } from "./Diagnosis";
import { PastedText } from "./PastedText";
import { Ask, End, Handover, Remedy, Treated, Verification } from "./Steps";
import type { CaseControl } from "./use_case";
import { LOST } from "./use_case";
import { useWords } from "./words";

export function Dialogue({ control }: { control: CaseControl }): JSX.Element {
  const words = useWords();
  const { view, busy, pending, failure, retry } = control;
  const stamp = `${view.items.length} ${pending !== null} ${failure !== null} ${busy}`;
  return (
    <div className="dialogue" role="log" aria-label={words.views.dialogue}>
      {!view.isSaved && <Alert type="warning" title={words.notSaved} />}
      {view.items.map((item) => (
        <Shown key={item.key} item={item} control={control} />
      ))}
      {pending !== null && (
        <div className="heard">
          <PastedText text={pending} lines={0} cited={[]} />
        </div>
      )}
      {busy === "turn" && (
        <output className="working">
          <span className="pulse" aria-hidden /> {words.working}
        </output>
      )}
      {failure && <Broken failure={failure} retry={retry} />}
      <EndInSight key={stamp} />
    </div>
  );
}

/** Drawn anew whenever something was added: the newest is in sight. */
function EndInSight(): JSX.Element {
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => {
    end.current?.scrollIntoView({ block: "nearest" });
  }, []);
  return <div ref={end} />;
}

/** What the server wrote down of a failed answer: nobody said it, so it is shown on demand. */
function OwnLog({ item }: { item: Item & { kind: "heard" } }): JSX.Element {
  const words = useWords();
  return (
    <details className="own-log">
      <summary>{words.ownLog(item.lines)}</summary>
      <PastedText text={item.text} lines={item.lines} cited={item.cited} />
    </details>
  );
}

function Shown({ item, control }: { item: Item; control: CaseControl }): JSX.Element | null {
  const words = useWords();
  const { view, busy, send } = control;
  const { language } = words;
  const isOpen = busy !== "turn" && openItem(view) === item;
  switch (item.kind) {
    case "heard": {
      if (item.isOwnLog) return <OwnLog item={item} />;
      const label = item.label?.[language] ?? labelOf(item.choice, words);
      return (
        <div className="heard">
          <span className="for-screen-readers">{words.you}: </span>
          {item.text ? <PastedText text={item.text} lines={item.lines} cited={item.cited} /> : <p className="said">{label}</p>}
        </div>
      );
    }
    case "say":
      return (
        <p className="say">
          <WithCode text={item.text} />
        </p>
      );
    case "checks":
      return (
        <section className="card" aria-label={words.views.checks}>
          <Chain links={item.checks.map((check) => ({ ...check, title: check.title[language] }))} />
        </section>
      );
    case "diagnosis":
      return <Diagnosis fault={item.fault} summary={item.summary} isSeen={item.isSeen} />;
    case "ask":
      return <Ask item={item} isOpen={isOpen} send={send} />;
    case "remedy":
      return <Remedy item={item} isOpen={isOpen} isWatching={view.state === "watching"} send={send} />;
    case "treated":
      return <Treated item={item} />;
    case "verify":
      return <Verification checks={item.checks} isWatching={view.state === "watching" && isNewest(view, item)} />;
    case "handover":
      return <Handover item={item} />;
    case "end":
      return <End item={item} canUndo={isEnd(view.state) && canUndo(view) && isNewest(view, item)} send={send} />;
    case "error":
      return <Broken failure={{ ...item, request_id: item.requestId }} retry={undefined} />;
  }
}

function labelOf(choice: string | null, words: ReturnType<typeof useWords>): string {
  const known: Record<string, string> = {
    decline: words.decline,
    works: words.works,
    still_broken: words.stillBroken,
    undo: words.undo,
  };
  return known[choice ?? ""] ?? choice ?? "";
}

function isNewest({ items }: CaseView, item: Item): boolean {
  return items.findLast(({ kind }) => kind === item.kind) === item;
}

function canUndo({ items }: CaseView): boolean {
  const last = items.findLast(({ kind }) => kind === "treated");
  return last?.kind === "treated" && last.outcome.can_undo;
}

function Broken({ failure, retry }: { failure: Failure; retry: (() => void) | undefined }): JSX.Element {
  const words = useWords();
  const texts = useTexts();
  const isLost = failure.code === LOST;
  return (
    <Alert
      type="error"
      title={isLost ? words.lost : (texts.faults[failure.code] ?? (failure.title || failure.code))}
      description={
        <>
          {failure.cause && (
            <p>
              <WithCode text={failure.cause} />
            </p>
          )}
          {failure.fix && (
            <p>
              <WithCode text={failure.fix} />
            </p>
          )}
          {failure.request_id && (
            <small>
              {words.request} <code>{failure.request_id}</code>
            </small>
          )}
          {retry && (
            <Button size="small" type="primary" onClick={retry}>
              {isLost ? words.goOn : words.sayAgain}
            </Button>
          )}
        </>
      }
    />
  );
}
