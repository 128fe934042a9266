/** Everything that can be checked, by layer, as it is found, and what it means. */

import { Button } from "antd";
import { useEffect, useRef, useState, type JSX } from "react";
import { Refused } from "../ask";
import { Chain, type Link } from "./Chain";
import { Diagnosis } from "./Diagnosis";
import { examine, fetchTitles, type Report, type ServerFinding } from "./examination";
import { isWrong, retold } from "./findings";
import { layerOf } from "./layers";
import type { Bilingual } from "./support_events";
import type { SelfTesting } from "./use_self_test";
import { useWords, type Texts } from "./words";

export interface ExaminationState {
  found: readonly ServerFinding[];
  report: Report | null;
  isRunning: boolean;
  problem: string; // why the server's half is missing
  run: () => void;
}

/** Keeps what was found while other views are shown. */
export function useExamination(selfTest: SelfTesting): ExaminationState {
  const words = useWords();
  const [found, setFound] = useState<readonly ServerFinding[]>([]);
  const [report, setReport] = useState<Report | null>(null);
  const [isRunning, setIsRunning] = useState(false);
  const [problem, setProblem] = useState("");
  const reading = useRef(new AbortController());
  useEffect(() => () => reading.current.abort(), []);
  const run = (): void => {
    reading.current.abort();
    const abort = new AbortController();
    reading.current = abort;
    setIsRunning(true);
    setFound([]);
    setReport(null);
    setProblem("");
    const onFinding = (finding: ServerFinding): void => setFound((old) => [...old, finding]);
    selfTest
      .run()
      .then((findings) => examine(findings, { onFinding, signal: abort.signal }))
      .then(setReport, (error: unknown) => {
        if (!abort.signal.aborted) setProblem(error instanceof Refused ? error.reason.cause : words.lost);
      })
      .finally(() => setIsRunning(abort !== reading.current));
  };
  return { found, report, isRunning, problem, run };
}

interface Props {
  state: ExaminationState;
  selfTest: SelfTesting;
  onTalk: (fault: string) => void;
}

export function Examination({ state, selfTest, onTalk }: Props): JSX.Element {
  const words = useWords();
  const titles = useTitles();
  const links = [...browserLinks(selfTest, words), ...serverLinks(state.found, titles, words)];
  const isRunning = state.isRunning || selfTest.isRunning;
  const wrong = links.filter(isWrong).length;
  const done = links.filter(({ status }) => status !== "running" && status !== "skip").length;
  return (
    <div className="examination">
      <div className="bar">
        <output>
          {isRunning
            ? words.summaryRunning(done, links.length)
            : wrong > 0
              ? words.summaryWrong(wrong, done)
              : links.length > 0
                ? words.summaryAllWell(done)
                : words.checksHint}
        </output>
        <Button type="primary" loading={state.isRunning} onClick={state.run}>
          {state.report ? words.runAgain : words.runChecks}
        </Button>
      </div>
      <Chain links={links} />
      {state.problem && <p className="soft">{state.problem}</p>}
      {state.report && state.report.diagnoses.length > 0 && <h3>{words.found}</h3>}
      {state.report?.diagnoses.map((fault) => (
        <div key={fault.id} className="found">
          <Diagnosis fault={fault} summary={null} isSeen />
          <Button onClick={() => onTalk(fault.id)}>{words.talkAbout}</Button>
        </div>
      ))}
    </div>
  );
}

function browserLinks({ probed }: SelfTesting, words: Texts): Link[] {
  return probed.map(({ check, finding }) => ({
    check,
    layer: "browser",
    title: words.probes[check],
    status: finding?.status ?? "running",
    because: retold(finding?.because ?? "", words.reasons),
    evidence: finding?.evidence ?? [],
  }));
}

/** What the page found itself is not said twice. */
function serverLinks(found: readonly ServerFinding[], titles: ReadonlyMap<string, Bilingual>, words: Texts): Link[] {
  return found
    .filter(({ check }) => !(check in words.probes))
    .map((it) => ({ ...it, layer: it.layer || layerOf(it.check), title: titles.get(it.check)?.[words.language] ?? it.check }));
}

function useTitles(): ReadonlyMap<string, Bilingual> {
  const [titles, setTitles] = useState<ReadonlyMap<string, Bilingual>>(new Map());
  useEffect(() => {
    fetchTitles().then(setTitles, () => undefined); // ids are shown instead
  }, []);
  return titles;
}
