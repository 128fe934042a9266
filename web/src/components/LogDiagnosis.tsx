/** What a log means: faults with their evidence by line, and what to do. The server reads it; nothing is kept. */

import { Spin } from "antd";
import { useEffect, useState, type JSX } from "react";
import { ask } from "../ask";
import type { TextFile } from "../drafts";
import type { Bilingual, Remedy } from "../faults";
import { useTexts, type Language } from "../i18n";
import { faultPage } from "../support";
import { WithCode } from "./WithCode";

interface Verdict {
  faults: readonly {
    id: string;
    title: Bilingual;
    evidence: readonly { line?: number; text?: string }[];
    remedies: readonly Remedy[];
  }[];
}

type Reading = { name: "reading" } | { name: "failed" } | { name: "read"; verdict: Verdict };

const MAX_TEXT = 2_000_000; // what the server takes
const SHOWN_FAULTS = 3;

export default function LogDiagnosis({ file }: { file: TextFile }): JSX.Element {
  const texts = useTexts();
  const reading = useReading(file.text);
  if (reading.name === "reading") {
    return (
      <p className="diagnosis" aria-busy>
        <Spin size="small" /> {texts.diagnosing}
      </p>
    );
  }
  if (reading.name === "failed") return <p className="diagnosis">{texts.states.unreachable}</p>;
  const { faults } = reading.verdict;
  if (faults.length === 0) return <p className="diagnosis">{texts.noDiagnosis}</p>;
  return (
    <ol className="diagnosis">
      {faults.slice(0, SHOWN_FAULTS).map((fault) => (
        <Found key={fault.id} fault={fault} />
      ))}
    </ol>
  );
}

function Found({ fault }: { fault: Verdict["faults"][number] }): JSX.Element {
  const texts = useTexts();
  const language: Language = texts.htmlLang === "en" ? "en" : "zh";
  return (
    <li>
      <h3>{fault.title[language]}</h3>
      {fault.evidence.map(({ line, text }) =>
        text === undefined ? null : (
          <blockquote key={`${line}${text}`}>
            {line !== undefined && <small>{texts.line(line)}</small>} <code>{text}</code>
          </blockquote>
        ),
      )}
      <strong>{texts.fix}</strong>
      <ul>
        {fault.remedies.map((remedy) => (
          <li key={remedy.do.en}>
            <WithCode text={remedy.do[language]} />
            {remedy.commands.length > 0 && <pre>{remedy.commands.join("\n")}</pre>}
          </li>
        ))}
      </ul>
      <a href={faultPage(fault.id)} target="_blank" rel="noreferrer">
        {texts.faultDetails} (<code>{fault.id}</code>)
      </a>
    </li>
  );
}

function useReading(text: string): Reading {
  const [reading, setReading] = useState<Reading>({ name: "reading" });
  useEffect(() => {
    const abort = new AbortController();
    diagnose(text, abort.signal).then(
      (verdict) => setReading({ name: "read", verdict }),
      () => abort.signal.aborted || setReading({ name: "failed" }),
    );
    return () => abort.abort();
  }, [text]);
  return reading;
}

async function diagnose(text: string, signal: AbortSignal): Promise<Verdict> {
  const body = JSON.stringify({ text: text.slice(-MAX_TEXT) });
  const headers = { "content-type": "application/json" };
  const response = await ask("/api/diagnose", { method: "POST", body, headers, signal });
  return (await response.json()) as Verdict;
}
