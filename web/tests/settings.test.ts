import * as fc from "fast-check";
import { expect, test } from "vitest";
import { isPlain, NO_SETTINGS, SAMPLING, toSettings } from "../src/settings";

test("settings survive their way through storage", () => {
  const settings = { system: "Be brief.", sampling: { temperature: 0, top_k: 5 }, max_tokens: 7 };
  expect(toSettings(JSON.parse(JSON.stringify(settings)))).toEqual(settings);
});

test("whatever is stored, the server can be asked with it", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (value, temperature) => {
      for (const odd of [value, { sampling: value }, { sampling: { temperature }, max_tokens: temperature }]) {
        const { system, sampling, max_tokens } = toSettings(odd);
        expect(typeof system).toBe("string");
        expect(max_tokens === null || max_tokens >= 1).toBe(true);
        const { min, max } = SAMPLING.temperature;
        const given = sampling.temperature;
        expect(given === undefined || (given >= min && given <= max)).toBe(true);
      }
    }),
  );
});

test("nothing set is plain", () => {
  expect(isPlain(NO_SETTINGS)).toBe(true);
  expect(isPlain({ ...NO_SETTINGS, sampling: { seed: 0 } })).toBe(false);
});
