/** The language of the page: the browser's until one is chosen. Knows no component. */

import { createContext, useContext } from "react";
import { usePreference } from "./preference";
import { en, type Texts } from "./texts/en";
import { zh } from "./texts/zh";

export type { Texts };

export const LANGUAGES = ["en", "zh"] as const;
export type Language = (typeof LANGUAGES)[number];
export const LANGUAGE_CHOICES = ["auto", ...LANGUAGES] as const;
export type LanguageChoice = (typeof LANGUAGE_CHOICES)[number];

export const TEXTS: Record<Language, Texts> = { en, zh };

export const TextsContext = createContext<Texts>(en);

export function useTexts(): Texts {
  return useContext(TextsContext);
}

/** What is chosen, and the language that follows from it. */
export function useLanguage(): [LanguageChoice, (choice: LanguageChoice) => void, Language] {
  const [choice, choose] = usePreference<LanguageChoice>("language", LANGUAGE_CHOICES, "auto");
  const preferred: Language = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
  return [choice, choose, choice === "auto" ? preferred : choice];
}
