/** What the person is asked to do: answer, consent, act; and what came of it. */

import {
  CheckCircleFilled,
  CloseCircleOutlined,
  DownloadOutlined,
  InfoCircleOutlined,
  RollbackOutlined,
  SmileOutlined,
} from "@ant-design/icons";
import { Button } from "antd";
import type { JSX } from "react";
import { WithCode } from "../components/WithCode";
import type { ItemOf, Verifying } from "./case_view";
import { StatusMark } from "./Chain";
import { Commands } from "./Commands";
import type { TurnBody } from "./support_stream";
import { useWords } from "./words";

type Send = (turn: TurnBody) => void;

interface AskProps {
  item: ItemOf<"ask">;
  isOpen: boolean;
  send: Send;
}

export function Ask({ item: { question, chosen }, isOpen, send }: AskProps): JSX.Element {
  const words = useWords();
  const { language } = words;
  return (
    <section className={isOpen ? "card ask open" : "card ask"} aria-label={question.text[language]}>
      <p>
        <WithCode text={question.text[language]} />
      </p>
      {question.suggested !== null && isOpen && <small>{words.suggested}</small>}
      <div className="choices">
        {question.choices.map(({ id, label }) => (
          <Button
            key={id}
            type={id === chosen || (isOpen && id === question.suggested) ? "primary" : "default"}
            ghost={id === chosen}
            disabled={!isOpen}
            aria-pressed={id === chosen}
            onClick={() => send({ choice: id })}
          >
            {label[language]}
          </Button>
        ))}
      </div>
    </section>
  );
}

interface RemedyProps {
  item: ItemOf<"remedy">;
  isOpen: boolean;
  isWatching: boolean;
  send: Send;
}

export function Remedy({ item: { offer, isTaken }, isOpen, isWatching, send }: RemedyProps): JSX.Element {
  const words = useWords();
  const { language } = words;
  const consents = offer.needs_consent && isOpen && !isWatching;
  return (
    <section className={isOpen ? "card remedy open" : "card remedy"} aria-label={words.fix}>
      <header>
        <small>{words.fix}</small>
        <small className={`safety ${offer.safety}`}>{words.safeties[offer.safety]}</small>
      </header>
      <p>
        <WithCode text={offer.do[language]} />
      </p>
      <Commands commands={offer.commands} />
      {consents && (
        <div className="choices">
          <Button type="primary" onClick={() => send({ consent: offer.remedy })}>
            {words.consent}
          </Button>
          <Button onClick={() => send({ choice: "decline" })}>{words.decline}</Button>
        </div>
      )}
      {isTaken && !consents && <small className="taken">{words.chosen}</small>}
    </section>
  );
}

export function Treated({ item: { outcome } }: { item: ItemOf<"treated"> }): JSX.Element {
  const words = useWords();
  const isGood = outcome.result === "fixed" || outcome.result === "nothing-to-fix";
  return (
    <p className={isGood ? "treated good" : "treated"}>
      {isGood ? <CheckCircleFilled aria-hidden /> : <CloseCircleOutlined aria-hidden />}
      <span>
        {words.results[outcome.result]} <code>{outcome.remedy}</code>
        {outcome.because && <small>{outcome.because}</small>}
      </span>
    </p>
  );
}

interface VerificationProps {
  checks: readonly Verifying[];
  isWatching: boolean;
}

export function Verification({ checks, isWatching }: VerificationProps): JSX.Element {
  const words = useWords();
  const isGreen = checks.every(({ status }) => status === "pass" || status === "skip");
  return (
    <section className={isGreen ? "card verification green" : "card verification"} aria-label={words.verification} aria-live="polite">
      <header>
        <small>{words.verification}</small>
        {isWatching && !isGreen && <span className="pulse" aria-hidden />}
      </header>
      <ul className="links">
        {checks.map(({ check, title, status, because }) => (
          <li key={check} className={status}>
            <StatusMark status={status} />
            <div>
              <span title={check}>{title[words.language]}</span>
              {status !== "pass" && because && <p>{because}</p>}
            </div>
          </li>
        ))}
      </ul>
      {isWatching && !isGreen && <p className="soft">{words.watching}</p>}
    </section>
  );
}

export function Handover({ item }: { item: ItemOf<"handover"> }): JSX.Element {
  const words = useWords();
  return (
    <section className="card handover" aria-label={words.handedOver}>
      <p>{item.summary[words.language]}</p>
      <Button icon={<DownloadOutlined />} href={item.bundle} download="">
        {words.download}
      </Button>
    </section>
  );
}

interface EndProps {
  item: ItemOf<"end">;
  canUndo: boolean;
  send: Send;
}

export function End({ item: { state, verifiedBy }, canUndo, send }: EndProps): JSX.Element {
  const words = useWords();
  if (state === "fixed") {
    return (
      <output className="end fixed">
        <CheckCircleFilled aria-hidden />
        <strong>{verifiedBy === "person" ? words.fixedByPerson : words.fixedByChecks}</strong>
        {canUndo && (
          <Button size="small" icon={<RollbackOutlined />} onClick={() => send({ choice: "undo" })}>
            {words.undo}
          </Button>
        )}
      </output>
    );
  }
  return (
    <output className={`end ${state}`}>
      {state === "no_fault" ? <SmileOutlined aria-hidden /> : <InfoCircleOutlined aria-hidden />}
      <strong>{state === "no_fault" ? words.noFault : words.handedOver}</strong>
    </output>
  );
}
