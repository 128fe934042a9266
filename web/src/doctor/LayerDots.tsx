/** One dot per layer, from the machine up to the conversation. */

import type { JSX } from "react";
import { LAYERS } from "./layers";
import type { ShownStatus } from "./support_events";
import { useWords } from "./words";

interface Props {
  statuses: ReadonlyMap<string, ShownStatus>;
  onShow: () => void;
}

export function LayerDots({ statuses, onShow }: Props): JSX.Element {
  const words = useWords();
  return (
    <ul className="layer-dots">
      {LAYERS.map((layer) => {
        const status = statuses.get(layer);
        const name = words.layers[layer] ?? layer;
        const told = words.layerDot(name, status ? words.statuses[status] : words.unlooked);
        return (
          <li key={layer}>
            <button type="button" title={told} aria-label={told} onClick={onShow}>
              <i className={`layer-dot ${status ?? "unknown"}`} aria-hidden />
              <span aria-hidden>{name}</span>
            </button>
          </li>
        );
      })}
    </ul>
  );
}
