/** What the page can say when the server cannot: where, what was seen, what to do, and when it is over. */

import { CheckCircleFilled } from "@ant-design/icons";
import { Button } from "antd";
import type { JSX } from "react";
import { Commands } from "./Commands";
import { Explanation } from "./Diagnosis";
import type { FirstAid } from "./first_aid";
import { useWords } from "./words";

export function FirstAidCard({ aid, isKept }: { aid: FirstAid; isKept: boolean }): JSX.Element {
  const words = useWords();
  const { title, cause, steps } = words.aid[aid.kind];
  return (
    <section className="card aid" aria-label={words.aidTitle} role="alert">
      <header>
        <small>{words.cause}</small>
        <span className="pulse" aria-hidden />
      </header>
      <h3>{title}</h3>
      <p>{cause}</p>
      <dl className="facts wide">
        <div>
          <dt>{words.where}</dt>
          <dd>
            <code>{aid.address}</code> ({aid.isLocal ? words.onThisMachine : words.onServer(new URL(aid.address).hostname)})
          </dd>
        </div>
        {aid.requestId && (
          <div>
            <dt>{words.request}</dt>
            <dd>
              <code>{aid.requestId}</code>
            </dd>
          </div>
        )}
      </dl>
      <h4>{words.toDo}</h4>
      <ol>
        {steps.map((step) => (
          <li key={step}>{step}</li>
        ))}
      </ol>
      <Commands commands={aid.commands} />
      <p className="soft">
        {words.aidWatching} {isKept && words.aidRemembered}
      </p>
      <Explanation fault={aid.fault} />
    </section>
  );
}

export function Back({ onGoOn }: { onGoOn: () => void }): JSX.Element {
  const words = useWords();
  return (
    <output className="end fixed">
      <CheckCircleFilled aria-hidden />
      <strong>{words.aidBack}</strong>
      <span>{words.aidBackHint}</span>
      <Button size="small" onClick={onGoOn}>
        {words.aidGoOn}
      </Button>
    </output>
  );
}
