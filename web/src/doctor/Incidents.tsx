/** What went wrong while the server ran, each with its time line. */

import { Button } from "antd";
import { useEffect, useState, type JSX } from "react";
import { StatusMark, Facts } from "./Chain";
import { fetchIncidents, type Incident } from "./examination";
import { useTexts } from "../i18n";
import { useWords, type Texts } from "./words";

const EVERY_MS = 10_000;

export function Incidents({ onTalk }: { onTalk: (fault: string) => void }): JSX.Element {
  const words = useWords();
  const incidents = useIncidents();
  if (incidents === "failed") return <p className="soft">{words.incidentsFailed}</p>;
  if (incidents === null) return <p className="soft">{words.working}</p>;
  if (incidents.length === 0) return <p className="soft">{words.noIncidents}</p>;
  return (
    <>
      <output>{words.incidentsOpen(incidents.filter(({ closed }) => closed === 0).length)}</output>
      <ul className="incidents">
        {incidents.map((incident) => (
          <Shown key={incident.id} incident={incident} onTalk={onTalk} />
        ))}
      </ul>
    </>
  );
}

function Shown({ incident, onTalk }: { incident: Incident; onTalk: (fault: string) => void }): JSX.Element {
  const words = useWords();
  const { faults } = useTexts();
  const { check, layer, fault, because, opened, seen, closed, count, events } = incident;
  const isOpen = closed === 0;
  return (
    <li className={isOpen ? "card incident open" : "card incident"}>
      <header>
        <StatusMark status={isOpen ? "fail" : "pass"} />
        <strong>{words.layers[layer] ?? layer}</strong>
        {faults[fault] && <span className="title">{faults[fault]}</span>}
        <code>{fault || check}</code>
        <small>{isOpen ? words.incidentOpen : words.incidentClosed}</small>
      </header>
      {because && <p>{because}</p>}
      {isOpen && <Facts facts={incident.evidence} />}
      <ol className="timeline">
        {events.map(([at, what]) => (
          <li key={`${at} ${what}`} className={what}>
            <time dateTime={new Date(at * 1e3).toISOString()}>{when(at, words)}</time>
            <span>{words.incidentEvents[what] ?? what}</span>
          </li>
        ))}
      </ol>
      <footer>
        <small>
          {words.seenTimes(count)} · {words.lasted(lasting((closed || seen) - opened))}
        </small>
        {isOpen && fault && (
          <Button size="small" onClick={() => onTalk(fault)}>
            {words.talkAbout}
          </Button>
        )}
      </footer>
    </li>
  );
}

function when(seconds: number, { language }: Texts): string {
  const shown = { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" } as const;
  return new Date(seconds * 1e3).toLocaleString(language === "zh" ? "zh-CN" : "en", shown);
}

function lasting(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5_400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
}

/** null: not yet there. Asked for again while the list is looked at. */
function useIncidents(): readonly Incident[] | "failed" | null {
  const [incidents, setIncidents] = useState<readonly Incident[] | "failed" | null>(null);
  useEffect(() => {
    const look = (): void => void fetchIncidents().then(setIncidents, () => setIncidents("failed"));
    look();
    const timer = setInterval(look, EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  return incidents;
}
