import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { TEXTS } from "../src/i18n";

const SERVER = `${import.meta.dirname}/../../src/qwell`;

/** What the pattern captures in the server's sources below a folder, each once. */
function found(folder: string, pattern: RegExp): string[] {
  const files = readdirSync(`${SERVER}/${folder}`, { recursive: true, encoding: "utf-8" });
  const sources = files.filter((name) => name.endsWith(".py"));
  const codes = sources.flatMap((name) =>
    [...readFileSync(`${SERVER}/${folder}/${name}`, "utf-8").matchAll(pattern)].map((match) => match[1] ?? ""),
  );
  return [...new Set(codes)].toSorted();
}

test.each(["en", "zh"] as const)("every notice that the server sends has its words in %s", (language) => {
  const codes = ["engine", "server"].flatMap((folder) => found(folder, /Notice\(\s*"([a-z0-9-]+)"/g));
  expect(codes.length).toBeGreaterThan(4);
  expect(codes.filter((code) => !(TEXTS[language].notices[code] ?? ""))).toEqual([]);
});

test.each(["en", "zh"] as const)("every reason why an answer is not saved has its words in %s", (language) => {
  const codes = found("store", /QwellError\(\s*"([a-z0-9-]+)"/g);
  expect(codes.length).toBeGreaterThan(4);
  expect(codes.filter((code) => !(TEXTS[language].faults[code] ?? ""))).toEqual([]);
});
