/** The cause: its name, how sure, the evidence that it stands on, what it is not, and more on demand. */

import { Button } from "antd";
import { useId, useState, type JSX } from "react";
import { faultPage } from "../support";
import { WithCode } from "../components/WithCode";
import { fetchExplanation, type Explained } from "./examination";
import type { Bilingual, FaultFound } from "./support_events";
import { useWords } from "./words";

interface Props {
  fault: FaultFound;
  summary: Bilingual | null;
  isSeen: boolean;
}

const SURE = 0.6;

export function Diagnosis({ fault, summary, isSeen }: Props): JSX.Element {
  const words = useWords();
  const { language } = words;
  return (
    <section className="card diagnosis-card" aria-label={words.cause}>
      <header>
        <small>{isSeen || fault.p >= SURE ? words.cause : words.likelyCause}</small>
        <small className="certainty">{isSeen ? words.seenNow : words.certainty(Math.round(fault.p * 100))}</small>
      </header>
      <h3>{fault.title[language]}</h3>
      {summary && (
        <p>
          <WithCode text={summary[language]} />
        </p>
      )}
      <Evidence fault={fault} />
      {fault.ruled_out.length > 0 && (
        <details>
          <summary>
            {words.ruledOut} <span className="count">{fault.ruled_out.length}</span>
          </summary>
          <ul>
            {fault.ruled_out.map(({ id, title, because }) => (
              <li key={id}>
                <a href={faultPage(id)} target="_blank" rel="noreferrer">
                  {title?.[language] ?? id}
                </a>
                : {because}
              </li>
            ))}
          </ul>
        </details>
      )}
      <Explanation fault={fault.id} />
    </section>
  );
}

function Evidence({ fault }: { fault: FaultFound }): JSX.Element | null {
  const words = useWords();
  if (fault.evidence.length === 0) return null;
  return (
    <>
      <h4>{words.evidence}</h4>
      <ul className="proofs">
        {fault.evidence.map(({ line, text }) => (
          <li key={`${line} ${text}`}>
            {line > 0 && <small>{words.line(line)}</small>}
            <code>{text}</code>
          </li>
        ))}
      </ul>
    </>
  );
}

/** From the fault's page, which the server itself has. */
export function Explanation({ fault }: { fault: string }): JSX.Element {
  const words = useWords();
  const { language } = words;
  const id = useId();
  const [isOpen, setIsOpen] = useState(false);
  const [explained, setExplained] = useState<Explained | "failed" | null>(null);
  const turn = (): void => {
    setIsOpen(!isOpen);
    if (explained === null || explained === "failed") fetchExplanation(fault).then(setExplained, () => setExplained("failed"));
  };
  return (
    <div className="explanation">
      <Button type="link" size="small" aria-expanded={isOpen} aria-controls={id} onClick={turn}>
        {isOpen ? words.explainLess : words.explainMore}
      </Button>
      <code className="fault-id">{fault}</code>
      <div id={id} aria-live="polite">
        {isOpen && explained === "failed" && <p>{words.explainFailed}</p>}
        {isOpen && explained !== null && explained !== "failed" && (
          <dl>
            <dt>{words.explainSee}</dt>
            <dd>
              <WithCode text={explained.see[language]} />
            </dd>
            <dt>{words.explainWhy}</dt>
            <dd>
              <WithCode text={explained.why[language]} />
            </dd>
            <dt>{words.explainHow}</dt>
            <dd>
              <WithCode text={explained.how[language]} />
            </dd>
            <dd>
              <a href={faultPage(fault)} target="_blank" rel="noreferrer">
                {words.explainPage}
              </a>
            </dd>
          </dl>
        )}
      </div>
    </div>
  );
}
