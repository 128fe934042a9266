/** Which language the page speaks, also to the server: the browser's until one is chosen. Knows no words. */

import { readStored } from "./stored";

export const LANGUAGES = ["en", "zh"] as const;
export type Language = (typeof LANGUAGES)[number];
export const LANGUAGE_CHOICES = ["auto", ...LANGUAGES] as const;
export type LanguageChoice = (typeof LANGUAGE_CHOICES)[number];

export const LANGUAGE_KEY = "language"; // what the choice is stored under

export function languageOf(choice: LanguageChoice): Language {
  if (choice !== "auto") return choice;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export function spokenLanguage(): Language {
  const chosen = readStored(LANGUAGE_KEY);
  return languageOf(LANGUAGES.find((it) => it === chosen) ?? "auto");
}

/** Asks the server to explain itself in the language of the page, which may not be the browser's. */
export function acceptLanguage(language = spokenLanguage()): { "accept-language": string } {
  return { "accept-language": language === "zh" ? "zh-CN" : "en" };
}

/** Whether a text of the server is in this language: older answers keep that of their time. */
export function isIn(language: Language, text: string): boolean {
  return /\p{Script=Han}/u.test(text) === (language === "zh");
}
