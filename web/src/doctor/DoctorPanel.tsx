/** The doctor on the page: the dialogue, the checks, the incidents. Puts the parts together. */

import { Button } from "antd";
import { useCallback, useEffect, useRef, useState, type JSX, type KeyboardEvent } from "react";
import { readStored, writeStored } from "../stored";
import { Dialogue } from "./Dialogue";
import "./doctor.css";
import { Examination, useExamination } from "./Examination";
import { Back, FirstAidCard } from "./FirstAidCard";
import { Incidents } from "./Incidents";
import { byLayer, type Looked } from "./layers";
import { LayerDots } from "./LayerDots";
import { LogInput } from "./LogInput";
import { rememberCase, type Opening } from "./opening";
import { Start } from "./Start";
import type { TurnBody } from "./support_stream";
import { LOST, useCase, type CaseControl } from "./use_case";
import { useBrowserWatch, useSelfTest, type SelfTesting } from "./use_self_test";
import { useWords } from "./words";

const VIEWS = ["dialogue", "checks", "incidents"] as const;
type View = (typeof VIEWS)[number];

const DRAFT = "doctor.draft";

export default function DoctorPanel({ opening }: { opening: Opening }): JSX.Element {
  const words = useWords();
  const [view, setView] = useState<View>("dialogue");
  const selfTest = useSelfTest();
  const examination = useExamination(selfTest);
  const control = useCase(words.language, noteCase);
  const [draft, setDraft] = useState(() => readStored(DRAFT) ?? "");
  useEffect(() => writeStored(DRAFT, draft || null), [draft]);
  const say = useSaying(control, selfTest);
  useOpening(opening, control, say, selfTest.run);
  useLookWhenLost(control, selfTest.run);
  useBrowserWatch(verified(control), control.view.state === "watching");
  const talk = (fault: string): void => {
    control.restart();
    setView("dialogue");
    say({ fault });
  };
  const hasCase = control.view.items.length > 0 || control.pending !== null || control.busy === "turn" || control.failure !== null;
  return (
    <div className="doctor">
      <LayerDots statuses={byLayer(looked(control, selfTest, examination.found))} onShow={() => setView("checks")} />
      <Tabs view={view} onView={setView} />
      <div className="doctor-view" role="tabpanel" id={`doctor-${view}`} aria-labelledby={`doctor-tab-${view}`} tabIndex={-1}>
        {view === "dialogue" && (
          <>
            {hasCase ? (
              <Dialogue control={control} />
            ) : (
              !selfTest.aid && <Start onSay={(text) => say({ text })} onOpen={control.open} />
            )}
            {selfTest.aid && <FirstAidCard aid={selfTest.aid} isKept={draft !== ""} />}
            {selfTest.isBack && !selfTest.aid && (!hasCase || control.failure !== null) && (
              <Back
                onGoOn={() => {
                  selfTest.forgive();
                  control.retry?.();
                }}
              />
            )}
          </>
        )}
        {view === "checks" && <Examination state={examination} selfTest={selfTest} onTalk={talk} />}
        {view === "incidents" && <Incidents onTalk={talk} />}
      </div>
      {view === "dialogue" && (
        <footer className="doctor-foot">
          {hasCase && (
            <Button size="small" type="link" onClick={control.restart}>
              {words.newCase}
            </Button>
          )}
          <LogInput
            placeholder={hasCase ? words.answerPlaceholder : words.placeholder}
            isBusy={control.busy === "turn" || selfTest.aid !== undefined}
            draft={draft}
            onDraft={setDraft}
            onSend={(text) => say({ text })}
          />
        </footer>
      )}
    </div>
  );
}

function noteCase(id: string | null): void {
  rememberCase(id ?? "");
}

/** A first turn carries what the browser found, when that is there in time. */
function useSaying(control: CaseControl, selfTest: SelfTesting): (turn: TurnBody) => void {
  const { view, send } = control;
  const { settled } = selfTest;
  const isFirst = view.id === null;
  return useCallback(
    (turn) => (isFirst ? send(turn, settled()) : send(turn)),
    [isFirst, send, settled],
  );
}

/** A connection that was lost: the browser looks what it can reach. */
function useLookWhenLost({ failure }: CaseControl, run: () => unknown): void {
  const isLost = failure?.code === LOST;
  useEffect(() => {
    if (isLost) run();
  }, [isLost, run]);
}

/** What the panel was opened with, once. */
function useOpening(opening: Opening, control: CaseControl, say: (turn: TurnBody) => void, run: () => unknown): void {
  const done = useRef<Opening | null>(null);
  const { restart, open } = control;
  useEffect(() => {
    if (done.current === opening) return;
    const isFirst = done.current === null;
    done.current = opening;
    if (isFirst) run();
    const turn = turnOf(opening);
    if (turn) {
      restart();
      say(turn);
    } else {
      if (isFirst) noteCase(opening.kind === "case" ? opening.id : null); // it may be loaded again before it is read
      if (opening.kind === "case") open(opening.id);
    }
  }, [opening, open, restart, run, say]);
}

function turnOf(opening: Opening): TurnBody | undefined {
  switch (opening.kind) {
    case "failure": {
      const { failure, conversation } = opening;
      const asked = failure.request_id ? { request_id: failure.request_id } : {};
      return { fault: failure.code, ...asked, ...(conversation !== undefined && { conversation }) };
    }
    case "log":
      return { text: opening.file.text };
    case "offer": {
      const { kind: _, ...turn } = opening;
      return turn;
    }
    case "panel":
    case "case":
      return undefined;
  }
}

/** Checks that the fix is watched by. */
function verified({ view }: CaseControl): string[] {
  const last = view.items.findLast(({ kind }) => kind === "verify");
  const named = view.items.findLast(({ kind }) => kind === "diagnosis");
  const own = named?.kind === "diagnosis" ? named.fault.verify : [];
  return [...own, ...(last?.kind === "verify" ? last.checks.map(({ check }) => check) : [])];
}

/** Everything that was looked at, the newest last. */
function looked({ view }: CaseControl, { probed }: SelfTesting, examined: readonly Looked[]): Looked[] {
  const own = probed.map(({ check, finding }): Looked => ({ check, status: finding?.status ?? "running" }));
  const inCase = view.items.flatMap((item): readonly Looked[] =>
    item.kind === "checks" || item.kind === "verify" ? item.checks : [],
  );
  return [...examined, ...inCase, ...own];
}

function Tabs({ view, onView }: { view: View; onView: (view: View) => void }): JSX.Element {
  const words = useWords();
  const list = useRef<HTMLDivElement>(null);
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = VIEWS[(VIEWS.indexOf(view) + step + VIEWS.length) % VIEWS.length] ?? "dialogue";
    onView(next);
    list.current?.querySelector<HTMLElement>(`#doctor-tab-${next}`)?.focus();
  };
  return (
    <div className="doctor-tabs" role="tablist" tabIndex={-1} ref={list} onKeyDown={onKeyDown}>
      {VIEWS.map((it) => (
        <button
          key={it}
          type="button"
          role="tab"
          id={`doctor-tab-${it}`}
          aria-selected={it === view}
          aria-controls={it === view ? `doctor-${it}` : undefined}
          tabIndex={it === view ? 0 : -1}
          onClick={() => onView(it)}
        >
          {words.views[it]}
        </button>
      ))}
    </div>
  );
}
