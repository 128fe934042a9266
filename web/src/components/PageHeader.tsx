/** The model really served, whether it can answer, and the choice of language, colours and settings. */

import { DesktopOutlined, MenuOutlined, MoonOutlined, SettingOutlined, SunOutlined } from "@ant-design/icons";
import { Button, Dropdown } from "antd";
import { memo, type JSX } from "react";
import { useTexts, type Texts } from "../i18n";
import type { ServerState } from "../server_state";
import { THEME_CHOICES, type ThemeChoice } from "../theme";

interface Props {
  server: ServerState;
  theme: ThemeChoice;
  onTheme: (choice: ThemeChoice) => void;
  onLanguage: () => void;
  onMenu: () => void;
  onSettings: () => void;
  onDoctor: () => void;
}

const THEME_ICONS = {
  system: <DesktopOutlined />,
  light: <SunOutlined />,
  dark: <MoonOutlined />,
};

export const PageHeader = memo(({ server, theme, onTheme, onLanguage, onMenu, onSettings, onDoctor }: Props): JSX.Element => {
  const texts = useTexts();
  const { readiness, troubled } = server;
  const isDegraded = readiness.name === "ready" && troubled.length > 0;
  const state = stateOf(server, texts);
  return (
    <header className="page-header">
      <Button className="menu-button" type="text" icon={<MenuOutlined />} aria-label={texts.openChats} onClick={onMenu} />
      <Button
        className="dot-button"
        type="text"
        icon={<span className={`dot ${readiness.name} ${isDegraded ? "degraded" : ""}`} />}
        aria-label={texts.openDoctor(state)}
        title={texts.openDoctor(state)}
        onClick={onDoctor}
      />
      <h1 title={server.model ?? ""}>{server.model ?? texts.unknownModel}</h1>
      <Button type="text" title={texts.languageHint} lang={texts.htmlLang === "en" ? "zh-CN" : "en"} onClick={onLanguage}>
        {texts.language}
      </Button>
      <Dropdown
        trigger={["click"]}
        menu={{
          selectable: true,
          selectedKeys: [theme],
          items: THEME_CHOICES.map((key) => ({ key, label: texts.themes[key], icon: THEME_ICONS[key] })),
          onClick: ({ key }) => onTheme(key as ThemeChoice),
        }}
      >
        <Button type="text" icon={THEME_ICONS[theme]} aria-label={texts.theme} title={texts.theme} />
      </Dropdown>
      <Button
        type="text"
        icon={<SettingOutlined />}
        aria-label={texts.settings}
        title={texts.settings}
        onClick={onSettings}
      />
    </header>
  );
});

/** With the layers in which something is wrong. */
function stateOf({ readiness, troubled }: ServerState, texts: Texts): string {
  const state = texts.states[readiness.name];
  const layers = readiness.name === "unreachable" ? ["network"] : troubled;
  return layers.length === 0 ? state : texts.troubleIn(state, layers.map((it) => texts.layers[it] ?? it));
}

PageHeader.displayName = "PageHeader";
