/** What answers are asked with, for this chat and for new ones, and how the page looks and connects. */

import { Button, Drawer, Input, InputNumber, Radio, Segmented, Slider, Space, Tabs } from "antd";
import { useId, useState, type JSX, type ReactNode } from "react";
import { TRANSPORT_CHOICES, type TransportChoice } from "../answering";
import { offerKey, type KeyOutcome } from "../api_key";
import { LANGUAGE_CHOICES, useTexts, type LanguageChoice } from "../i18n";
import {
  isPlain,
  MAX_TOKENS,
  NO_SETTINGS,
  SAMPLING,
  SAMPLING_NAMES,
  usePresets,
  type AnswerSettings,
  type Preset,
  type SamplingName,
} from "../settings";
import { THEME_CHOICES, type ThemeChoice } from "../theme";

export interface PageChoices {
  theme: ThemeChoice;
  onTheme: (choice: ThemeChoice) => void;
  language: LanguageChoice;
  onLanguage: (choice: LanguageChoice) => void;
  transport: TransportChoice;
  onTransport: (choice: TransportChoice) => void;
}

export interface SettingsProps {
  ofChat: AnswerSettings;
  onChat: (settings: AnswerSettings) => void;
  ofNew: AnswerSettings;
  onNew: (settings: AnswerSettings) => void;
  page: PageChoices;
  onClose: () => void;
}

export default function SettingsDrawer({ ofChat, onChat, ofNew, onNew, page, onClose }: SettingsProps): JSX.Element {
  const texts = useTexts();
  const tabs = [
    {
      key: "chat",
      label: texts.thisChat,
      children: <Answers hint={texts.thisChatHint} settings={ofChat} onChange={onChat} />,
    },
    {
      key: "new",
      label: texts.newChats,
      children: <Answers hint={texts.newChatsHint} settings={ofNew} onChange={onNew} />,
    },
    { key: "page", label: texts.page, children: <Page {...page} /> },
  ];
  return (
    <Drawer
      open
      title={texts.settings}
      onClose={onClose}
      size={420}
      className="settings"
      styles={{ body: { paddingTop: 4 } }}
      closable={{ "aria-label": texts.close }}
    >
      <Tabs items={tabs} />
    </Drawer>
  );
}

interface AnswersProps {
  hint: string;
  settings: AnswerSettings;
  onChange: (settings: AnswerSettings) => void;
}

function Answers({ hint, settings, onChange }: AnswersProps): JSX.Element {
  const texts = useTexts();
  return (
    <div className="settings-list">
      <p className="settings-hint">{hint}</p>
      <PresetBar settings={settings} onChange={onChange} />
      <Field label={texts.systemPrompt} hint={texts.systemPromptHint}>
        {(id) => (
          <Input.TextArea
            id={id}
            autoSize={{ minRows: 2, maxRows: 10 }}
            maxLength={20_000}
            value={settings.system}
            onChange={({ target }) => onChange({ ...settings, system: target.value })}
          />
        )}
      </Field>
      {SAMPLING_NAMES.map((name) => (
        <SamplingField
          key={name}
          name={name}
          value={settings.sampling[name]}
          onChange={(value) => {
            const { [name]: _, ...others } = settings.sampling;
            onChange({ ...settings, sampling: value === null ? others : { ...others, [name]: value } });
          }}
        />
      ))}
      <Field label={texts.maxTokens} hint={texts.maxTokensHint}>
        {(id) => (
          <InputNumber
            id={id}
            {...MAX_TOKENS}
            precision={0}
            placeholder={texts.ownDefault}
            value={settings.max_tokens}
            onChange={(value) => onChange({ ...settings, max_tokens: value })}
          />
        )}
      </Field>
      <Button disabled={isPlain(settings)} onClick={() => onChange(NO_SETTINGS)}>
        {texts.reset}
      </Button>
    </div>
  );
}

const SLIDERS: ReadonlySet<SamplingName> = new Set(["temperature", "top_p", "min_p", "repetition_penalty"]);

interface SamplingProps {
  name: SamplingName;
  value: number | undefined;
  onChange: (value: number | null) => void;
}

function SamplingField({ name, value, onChange }: SamplingProps): JSX.Element {
  const texts = useTexts();
  const [label, hint] = texts.sampling[name];
  const bounds = SAMPLING[name];
  return (
    <Field label={label} hint={hint}>
      {(id) => (
        <div className="settings-number">
          {SLIDERS.has(name) && (
            <Slider
              {...bounds}
              ariaLabelForHandle={label}
              value={value ?? bounds.min}
              className={value === undefined ? "unset" : ""}
              onChange={onChange}
            />
          )}
          <InputNumber
            id={id}
            {...bounds}
            {...(bounds.step === 1 && { precision: 0 })}
            placeholder={texts.ownDefault}
            value={value ?? null}
            onChange={onChange}
          />
        </div>
      )}
    </Field>
  );
}

const BUILT_IN: readonly Preset[] = [
  { name: "balanced", settings: NO_SETTINGS },
  { name: "precise", settings: { ...NO_SETTINGS, sampling: { temperature: 0.2, top_p: 0.8 } } },
  { name: "lively", settings: { ...NO_SETTINGS, sampling: { temperature: 1, top_p: 0.95, repetition_penalty: 1.1 } } },
];

function PresetBar({ settings, onChange }: Omit<AnswersProps, "hint">): JSX.Element {
  const texts = useTexts();
  const { presets, keep, remove } = usePresets();
  const [name, setName] = useState("");
  const save = (): void => {
    keep({ name: name.trim(), settings });
    setName("");
  };
  const isSame = (it: Preset): boolean => JSON.stringify(it.settings) === JSON.stringify(settings);
  return (
    <fieldset className="presets">
      <legend>{texts.presets}</legend>
      <div className="preset-list">
        {BUILT_IN.map((it) => (
          <Button
            key={it.name}
            size="small"
            type={isSame(it) ? "primary" : "default"}
            // a built-in set is about words, not about who speaks
            onClick={() => onChange({ ...settings, sampling: it.settings.sampling })}
          >
            {texts.presetNames[it.name]}
          </Button>
        ))}
        {presets.map((it) => (
          <Space.Compact key={it.name} size="small">
            <Button type={isSame(it) ? "primary" : "default"} onClick={() => onChange(it.settings)}>
              {it.name}
            </Button>
            <Button aria-label={texts.removePreset(it.name)} onClick={() => remove(it.name)}>
              ×
            </Button>
          </Space.Compact>
        ))}
      </div>
      <Space.Compact block>
        <Input
          aria-label={texts.presetName}
          placeholder={texts.presetName}
          maxLength={40}
          value={name}
          onChange={({ target }) => setName(target.value)}
          onPressEnter={() => name.trim() !== "" && save()}
        />
        <Button disabled={name.trim() === ""} onClick={save}>
          {texts.savePreset}
        </Button>
      </Space.Compact>
    </fieldset>
  );
}

function Page(choices: PageChoices): JSX.Element {
  const texts = useTexts();
  return (
    <div className="settings-list">
      <Field label={texts.languageLabel}>
        {(id) => (
          <Segmented
            id={id}
            aria-label={texts.languageLabel}
            value={choices.language}
            onChange={choices.onLanguage}
            options={LANGUAGE_CHOICES.map((value) => ({ value, label: texts.languages[value] }))}
          />
        )}
      </Field>
      <Field label={texts.theme}>
        {(id) => (
          <Segmented
            id={id}
            aria-label={texts.theme}
            value={choices.theme}
            onChange={choices.onTheme}
            options={THEME_CHOICES.map((value) => ({ value, label: texts.themes[value] }))}
          />
        )}
      </Field>
      <Field label={texts.transport} hint={texts.transportHint}>
        {(id) => (
          <Radio.Group
            id={id}
            aria-label={texts.transport}
            vertical
            value={choices.transport}
            onChange={({ target }) => choices.onTransport(target.value as TransportChoice)}
            options={TRANSPORT_CHOICES.map((value) => ({ value, label: texts.transports[value] }))}
          />
        )}
      </Field>
      <KeyField />
    </div>
  );
}

function KeyField(): JSX.Element {
  const texts = useTexts();
  const [key, setKey] = useState("");
  const [outcome, setOutcome] = useState<KeyOutcome | null>(null);
  const words = {
    works: texts.apiKeyWorks,
    wrong: texts.apiKeyWrong,
    needless: texts.apiKeyNotNeeded,
    unreachable: texts.states.unreachable,
  };
  const send = async (): Promise<void> => {
    const it = await offerKey(key.trim());
    setOutcome(it);
    if (it === "works") setKey("");
  };
  return (
    <Field label={texts.apiKey} hint={texts.apiKeyHint}>
      {(id) => (
        <>
          <Space.Compact block>
            <Input
              id={id}
              type="password"
              autoComplete="off"
              value={key}
              onChange={({ target }) => setKey(target.value)}
              onPressEnter={() => key.trim() !== "" && void send()}
            />
            <Button disabled={key.trim() === ""} onClick={() => void send()}>
              {texts.apiKeySend}
            </Button>
          </Space.Compact>
          {outcome && <output className="settings-outcome">{words[outcome]}</output>}
        </>
      )}
    </Field>
  );
}

interface FieldProps {
  label: string;
  hint?: string;
  children: (id: string) => ReactNode;
}

function Field({ label, hint, children }: FieldProps): JSX.Element {
  const id = useId();
  return (
    <div className="settings-field">
      <label htmlFor={id}>{label}</label>
      {children(id)}
      {hint !== undefined && <small>{hint}</small>}
    </div>
  );
}
