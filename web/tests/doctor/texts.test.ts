import { expect, test } from "vitest";
import { LAYERS } from "../../src/doctor/layers";
import { PROBE_NAMES } from "../../src/doctor/selftest";
import { en } from "../../src/doctor/texts/en";
import { zh } from "../../src/doctor/texts/zh";

const WORDS = [en, zh];

test("every layer, probe and way out has words in both languages", () => {
  for (const words of WORDS) {
    expect(LAYERS.filter((layer) => !words.layers[layer])).toEqual([]);
    expect(PROBE_NAMES.filter((probe) => !words.probes[probe])).toEqual([]);
    for (const aid of Object.values(words.aid)) expect(aid.steps.length).toBeGreaterThan(0);
  }
});

test("the Chinese words are Chinese, and as many", () => {
  expect(zh.complaints).toHaveLength(en.complaints.length);
  const shown = Object.entries(zh).filter(([, value]) => typeof value === "string" && value !== "zh");
  expect(shown.filter(([, value]) => !/\p{Script=Han}/u.test(String(value)))).toEqual([]);
});
