/** Which version of a turn is shown, and the way to the others. */

import { LeftOutlined, RightOutlined } from "@ant-design/icons";
import { Button } from "antd";
import type { JSX } from "react";
import type { Versions } from "../branches";
import { useTexts } from "../i18n";

interface Props {
  versions: Versions;
  onShow: (turnId: string) => void;
}

export function VersionSwitch({ versions, onShow }: Props): JSX.Element {
  const texts = useTexts();
  const { at, count, previous, next } = versions;
  return (
    <span className="versions">
      <Button
        type="text"
        size="small"
        icon={<LeftOutlined />}
        aria-label={texts.previousVersion}
        disabled={previous === null}
        onClick={() => previous && onShow(previous)}
      />
      <span>
        {at}/{count}
      </span>
      <Button
        type="text"
        size="small"
        icon={<RightOutlined />}
        aria-label={texts.nextVersion}
        disabled={next === null}
        onClick={() => next && onShow(next)}
      />
    </span>
  );
}
