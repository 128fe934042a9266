/** Before a case: what people complain of most, one press each, and cases from before. */

import { Button } from "antd";
import { useEffect, useState, type JSX } from "react";
import { fetchCases, type Brief } from "./support_stream";
import { useWords } from "./words";

interface Props {
  onSay: (text: string) => void;
  onOpen: (id: string) => void;
}

const SHOWN_CASES = 5;

export function Start({ onSay, onOpen }: Props): JSX.Element {
  const words = useWords();
  const cases = useCases();
  return (
    <div className="start">
      <h3>{words.startTitle}</h3>
      <p className="soft">{words.startHint}</p>
      <ul className="complaints">
        {words.complaints.map((complaint) => (
          <li key={complaint}>
            <Button onClick={() => onSay(complaint)}>{complaint}</Button>
          </li>
        ))}
      </ul>
      {cases.length > 0 && (
        <>
          <h4>{words.recent}</h4>
          <ul className="cases">
            {cases.slice(0, SHOWN_CASES).map((it) => (
              <li key={it.case}>
                <button type="button" onClick={() => onOpen(it.case)}>
                  <span>{it.title || it.fault || it.case}</span>
                  <small className={it.state}>{words.states[it.state]}</small>
                </button>
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}

function useCases(): readonly Brief[] {
  const [cases, setCases] = useState<readonly Brief[]>([]);
  useEffect(() => {
    let isGone = false;
    fetchCases().then(
      (it) => isGone || setCases(it),
      () => undefined, // without the server there are none to show
    );
    return () => {
      isGone = true;
    };
  }, []);
  return cases;
}
