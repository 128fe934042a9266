/** The panel's words in the language of the page. Knows no component. */

import { useTexts, type Language } from "../i18n";
import { en, type Texts } from "./texts/en";
import { zh } from "./texts/zh";

export type { Texts };

const WORDS: Record<Language, Texts> = { en, zh };

export function useWords(): Texts {
  return WORDS[useTexts().htmlLang === "en" ? "en" : "zh"];
}
