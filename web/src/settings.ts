/**
 * What answers are asked with: the defaults of new chats, and named sets of them. Each chat keeps
 * its own from its first question on. Draws nothing; the bounds are the server's.
 */

import { useCallback, useMemo } from "react";
import type { SamplingIn } from "./api_types";
import { useStored } from "./stored";

export const SAMPLING = {
  temperature: { min: 0, max: 2, step: 0.05 },
  top_p: { min: 0.01, max: 1, step: 0.01 },
  top_k: { min: 0, max: 1_000_000, step: 1 },
  min_p: { min: 0, max: 1, step: 0.01 },
  repetition_penalty: { min: 0.01, max: 2, step: 0.01 },
  seed: { min: -Number.MAX_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER, step: 1 },
} as const;

export type SamplingName = keyof typeof SAMPLING;
export const SAMPLING_NAMES = Object.keys(SAMPLING) as SamplingName[];
export const MAX_TOKENS = { min: 1, max: 131_072, step: 1 } as const;

export type Sampling = Pick<{ [name in keyof SamplingIn]: number }, SamplingName>;

/** ConversationSettings, in the server's words. What is absent is left to the model and the server. */
export interface AnswerSettings {
  system: string;
  sampling: Sampling;
  max_tokens: number | null;
}

export interface Preset {
  name: string;
  settings: AnswerSettings;
}

export const NO_SETTINGS: AnswerSettings = { system: "", sampling: {}, max_tokens: null };

export function isPlain({ system, sampling, max_tokens }: AnswerSettings): boolean {
  return system.trim() === "" && Object.keys(sampling).length === 0 && max_tokens === null;
}

/** The defaults of new chats. */
export function useDefaults(): [AnswerSettings, (settings: AnswerSettings) => void] {
  const [text, write] = useStored("settings");
  const settings = useMemo(() => toSettings(parse(text)), [text]);
  return [settings, useCallback((it) => write(JSON.stringify(it)), [write])];
}

export interface Presets {
  presets: readonly Preset[];
  keep: (preset: Preset) => void; // replaces one of the same name
  remove: (name: string) => void;
}

export function usePresets(): Presets {
  const [text, write] = useStored("presets");
  const presets = useMemo(() => toPresets(parse(text)), [text]);
  const without = (name: string): Preset[] => presets.filter((it) => it.name !== name);
  return {
    presets,
    keep: (preset) => write(JSON.stringify([...without(preset.name), preset])),
    remove: (name) => write(JSON.stringify(without(name))),
  };
}

/** Settings of any origin: an older page's, another tab's, the server's. What is odd is left out. */
export function toSettings(value: unknown): AnswerSettings {
  const { system, sampling, max_tokens } = record(value);
  const given = record(sampling);
  const known = SAMPLING_NAMES.flatMap((name): [SamplingName, number][] => {
    const number = within(given[name], SAMPLING[name]);
    return number === null ? [] : [[name, number]];
  });
  return {
    system: typeof system === "string" ? system : "",
    sampling: Object.fromEntries(known),
    max_tokens: within(max_tokens, MAX_TOKENS),
  };
}

function toPresets(value: unknown): readonly Preset[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((it): Preset[] => {
    const { name, settings } = record(it);
    return typeof name === "string" && name !== "" ? [{ name, settings: toSettings(settings) }] : [];
  });
}

function within(value: unknown, { min, max }: { min: number; max: number }): number | null {
  return typeof value === "number" && value >= min && value <= max ? value : null;
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function parse(text: string | null): unknown {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return null;
  }
}
