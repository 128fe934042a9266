/** The words of the page in its language. Knows no component. */

import { createContext, useContext } from "react";
import { LANGUAGE_CHOICES, LANGUAGE_KEY, languageOf, type Language, type LanguageChoice } from "./language";
import { usePreference } from "./preference";
import { en, type Texts } from "./texts/en";
import { zh } from "./texts/zh";

export { LANGUAGE_CHOICES, LANGUAGES, type Language, type LanguageChoice } from "./language";
export type { Texts };

export const TEXTS: Record<Language, Texts> = { en, zh };

export const TextsContext = createContext<Texts>(en);

export function useTexts(): Texts {
  return useContext(TextsContext);
}

/** What is chosen, and the language that follows from it. */
export function useLanguage(): [LanguageChoice, (choice: LanguageChoice) => void, Language] {
  const [choice, choose] = usePreference<LanguageChoice>(LANGUAGE_KEY, LANGUAGE_CHOICES, "auto");
  return [choice, choose, languageOf(choice)];
}
