import * as fc from "fast-check";
import { expect, test } from "vitest";
import { branchTo, leafBelow, versionsOf } from "../src/branches";
import type { Turn } from "../src/state";

const turn = (id: string, parent: string | null): Turn => ({ id, parent, role: "user", content: id });

/** Turns each with an earlier one, or none, as its parent. */
const trees = fc.array(fc.nat(), { minLength: 1, maxLength: 30 }).map((draws) =>
  draws.map((draw, at) => {
    const parent = draw % (at + 1);
    return turn(String(at), parent === at ? null : String(parent));
  }),
);

test("a branch leads from a beginning down to its turn, each below the one before", () => {
  fc.assert(
    fc.property(trees, fc.nat(), (turns, pick) => {
      const end = turns[pick % turns.length]?.id ?? null;
      const branch = branchTo(turns, end);
      expect(branch.at(-1)?.id).toBe(end);
      expect(branch.map(({ parent }) => parent)).toEqual([null, ...branch.slice(0, -1).map(({ id }) => id)]);
    }),
  );
});

test("below a turn lies a leaf whose branch leads through it", () => {
  fc.assert(
    fc.property(trees, fc.nat(), (turns, pick) => {
      const { id } = turns[pick % turns.length] as Turn;
      const leaf = leafBelow(turns, id);
      expect(turns.some(({ parent }) => parent === leaf)).toBe(false);
      expect(branchTo(turns, leaf).some((it) => it.id === id)).toBe(true);
    }),
  );
});

test("versions stand in the order they came, each with the way to its neighbours", () => {
  const [first, second, other] = [turn("1", "x"), turn("2", "x"), turn("3", "y")];
  const turns = [first, second, other];
  expect(versionsOf(turns, first)).toEqual({ at: 1, count: 2, previous: null, next: "2" });
  expect(versionsOf(turns, second)).toEqual({ at: 2, count: 2, previous: "1", next: null });
  expect(versionsOf(turns, other)).toBeNull();
});

test("an unknown turn has no branch", () => {
  expect(branchTo([turn("1", null)], "2")).toEqual([]);
  expect(branchTo([turn("1", null)], null)).toEqual([]);
});
