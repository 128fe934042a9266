/** Checks as a chain of layers: where something is wrong the layer is open, where all is well it is one line. */

import {
  CheckCircleFilled,
  CloseCircleFilled,
  ExclamationCircleFilled,
  LoadingOutlined,
  MinusCircleOutlined,
  QuestionCircleOutlined,
  RightOutlined,
} from "@ant-design/icons";
import { ThoughtChain } from "@ant-design/x";
import { useState, type JSX } from "react";
import type { Fact } from "./findings";
import { LAYERS, worst } from "./layers";
import type { ShownStatus } from "./support_events";
import { useWords } from "./words";

export interface Link {
  check: string;
  layer: string;
  title: string;
  status: ShownStatus;
  because: string;
  evidence: readonly Fact[];
}

const ICONS: Record<ShownStatus, JSX.Element> = {
  running: <LoadingOutlined spin />,
  pass: <CheckCircleFilled />,
  warn: <ExclamationCircleFilled />,
  fail: <CloseCircleFilled />,
  skip: <MinusCircleOutlined />,
  error: <QuestionCircleOutlined />,
};

/** The status in colour, shape and, for those who see neither, words. */
export function StatusMark({ status }: { status: ShownStatus }): JSX.Element {
  const words = useWords();
  return (
    <span className={`mark ${status}`} title={words.statuses[status]}>
      {ICONS[status]}
      <span className="for-screen-readers">{words.statuses[status]}</span>
    </span>
  );
}

export function Chain({ links }: { links: readonly Link[] }): JSX.Element {
  const [turned, setTurned] = useState<ReadonlySet<string>>(new Set()); // opened or closed by hand
  const layers = LAYERS.filter((layer) => links.some((link) => link.layer === layer));
  const items = layers.map((layer) => {
    const mine = links.filter((link) => link.layer === layer);
    const status = worst(mine.map((link) => link.status)) ?? "skip";
    const isOpen = isTelling(status) !== turned.has(layer);
    const turn = (): void => setTurned(new Set(turned.has(layer) ? [...turned].filter((it) => it !== layer) : [...turned, layer]));
    return {
      key: layer,
      icon: <StatusMark status={status} />,
      title: <LayerTitle layer={layer} links={mine} isOpen={isOpen} onTurn={turn} />,
      content: isOpen ? <Links links={mine} /> : null,
    };
  });
  return <ThoughtChain className="chain" items={items} line="solid" />;
}

const isTelling = (status: ShownStatus): boolean => status === "fail" || status === "warn";

interface LayerTitleProps {
  layer: string;
  links: readonly Link[];
  isOpen: boolean;
  onTurn: () => void;
}

function LayerTitle({ layer, links, isOpen, onTurn }: LayerTitleProps): JSX.Element {
  const words = useWords();
  const running = links.filter(({ status }) => status === "running");
  const wrong = links.filter(({ status }) => isTelling(status));
  const done = links.length - running.length;
  const told = running[0]?.title ?? wrong.map(({ title }) => title).join(" · ");
  return (
    <button type="button" className="chain-layer" aria-expanded={isOpen} onClick={onTurn}>
      <strong>{words.layers[layer] ?? layer}</strong>
      <span className="chain-told">{isOpen ? "" : told}</span>
      <small>{running.length > 0 ? `${done}/${links.length}` : links.length}</small>
      <RightOutlined rotate={isOpen ? 90 : 0} aria-hidden />
    </button>
  );
}

const ORDER: readonly ShownStatus[] = ["fail", "warn", "running", "error", "pass", "skip"];

function Links({ links }: { links: readonly Link[] }): JSX.Element {
  const sorted = links.toSorted((a, b) => ORDER.indexOf(a.status) - ORDER.indexOf(b.status));
  return (
    <ul className="links">
      {sorted.map((link) => (
        <li key={link.check} className={link.status}>
          <StatusMark status={link.status} />
          <div>
            <span title={link.check}>{link.title}</span>
            {link.status !== "pass" && link.because && <p>{link.because}</p>}
            {isTelling(link.status) && <Facts facts={link.evidence} />}
          </div>
        </li>
      ))}
    </ul>
  );
}

const SHOWN_FACTS = 6;

export function Facts({ facts }: { facts: readonly Fact[] }): JSX.Element | null {
  const shown = facts.filter(({ value }) => value !== "").slice(0, SHOWN_FACTS);
  if (shown.length === 0) return null;
  return (
    <dl className="facts">
      {shown.map(({ key, value }) => (
        <div key={key}>
          <dt>{key}</dt>
          <dd>{String(value)}</dd>
        </div>
      ))}
    </dl>
  );
}
