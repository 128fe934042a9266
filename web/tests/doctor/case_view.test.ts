import { array, assert, nat, property } from "fast-check";
import { expect, test } from "vitest";
import { NO_CASE, openItem, withEvent, type CaseView } from "../../src/doctor/case_view";
import type { SupportEvent } from "../../src/doctor/support_events";

const both = (text: string): { zh: string; en: string } => ({ zh: text, en: text });

type Loose = { type: string } & Record<string, unknown>;

function events(...bodies: Loose[]): SupportEvent[] {
  return bodies.map((body, seq) => ({ ...body, seq }) as unknown as SupportEvent);
}

function shown(...bodies: Loose[]): CaseView {
  return events(...bodies).reduce(withEvent, NO_CASE);
}

const CASE = { type: "case", case: "c1", state: "examining", turn: 1, lang: "en", saved: true };
const heard = (text: string, choice: string | null = null, consent: string | null = null): Loose => ({
  type: "heard",
  text,
  lines: text.split("\n").length,
  choice,
  consent,
});
test("a log that the server adds is not shown as said", () => {
  const logged = shown(CASE, { ...heard("{}"), own_log: true });
  const said = shown(CASE, heard("it broke"));
  const isOwnLog = ({ items: [item] }: CaseView): boolean => item?.kind === "heard" && item.isOwnLog;
  expect([isOwnLog(logged), isOwnLog(said)]).toEqual([true, false]);
});

const check = (name: string, status: string): Loose => ({
  type: "check",
  check: name,
  layer: name.split(".")[0],
  title: both(name),
  status,
  because: "",
  evidence: [],
  ms: 1,
});
const verify = (name: string, status: string): Loose => ({ type: "verify", check: name, title: both(name), status, because: "" });
const ASK = {
  type: "ask",
  question: "log",
  text: both("A log?"),
  choices: [{ id: "no_log", label: both("None") }],
  free_text: true,
  suggested: null,
  about: [],
};
const REMEDY = { type: "remedy", remedy: "r", fault: "f", safety: "auto", do: both("do"), commands: [], needs_consent: true };
const done = (state: string): Loose => ({ type: "done", state, final: false, fault: "", verified_by: "checks" });

test("a check that ends takes the place of the check that ran", () => {
  const { items } = shown(CASE, check("api.server", "running"), check("api.key", "running"), check("api.server", "pass"));
  expect(items).toHaveLength(1);
  expect(items[0]).toMatchObject({ checks: [{ check: "api.server", status: "pass" }, { status: "running" }] });
});

test("the lines that speak for a fault are marked where they were pasted", () => {
  const line = { line: 5, text: "OSError: no config", fault: "f", part: 1, line_in_part: 2 };
  const view = shown(CASE, heard("blank page"), heard("starting\nOSError: no config\nbye"), { type: "evidence", lines: [line] });
  expect(view.items.map((item) => item.kind === "heard" && item.cited.length)).toEqual([0, 1]);
});

test("a question can be answered until it is answered, and shows what was chosen", () => {
  const asked = shown(CASE, heard("slow"), ASK, done("asking"));
  expect(openItem(asked)?.kind).toBe("ask");
  const answered = events(CASE, heard("slow"), ASK, done("asking"), CASE, heard("", "no_log"))
    .reduce(withEvent, NO_CASE);
  expect(openItem(answered)).toBeUndefined();
  expect(answered.items.find(({ kind }) => kind === "ask")).toMatchObject({ chosen: "no_log" });
  expect(answered.items.at(-1)).toMatchObject({ kind: "heard", label: both("None") });
});

test("consent is marked at the remedy and is no message", () => {
  const { items } = shown(CASE, REMEDY, done("awaiting_consent"), CASE, heard("", null, "r"));
  expect(items).toHaveLength(1);
  expect(items[0]).toMatchObject({ kind: "remedy", isTaken: true });
});

test("while a person acts, one list of checks changes, and looking again hides nothing", () => {
  const view = shown(
    CASE,
    verify("api.server", "fail"),
    done("watching"),
    CASE,
    heard("", "watch"),
    verify("api.server", "running"),
  );
  expect(view.items).toHaveLength(1);
  expect(view.items[0]).toMatchObject({ checks: [{ status: "fail" }] });
  const green = withEvent(view, { ...verify("api.server", "pass"), seq: 6 } as unknown as SupportEvent);
  expect(green.items).toMatchObject([{ kind: "verify", checks: [{ status: "pass" }] }]);
});

test("the question whether it works now stays last, is asked once, and open while checks are watched", () => {
  const outcome = { ...ASK, question: "outcome", choices: [{ id: "works", label: both("Works") }] };
  const waiting = { type: "say", key: "waiting", text: "Waiting.", by: "template" };
  const round = [CASE, heard("", "watch"), waiting, verify("a.b", "fail"), outcome, done("watching")];
  const view = shown(CASE, heard("slow"), REMEDY, outcome, done("watching"), ...round, ...round);
  expect(view.items.map(({ kind }) => kind)).toEqual(["heard", "remedy", "say", "verify", "ask"]);
  expect(openItem(view)?.kind).toBe("ask");
  const during = events(CASE, heard("slow"), REMEDY, outcome, done("watching"), ...round.slice(0, 3)).reduce(withEvent, NO_CASE);
  expect(openItem(during)?.kind).toBe("ask");
});

test("the end is shown once, and an event of a newer server does no harm", () => {
  const view = shown(CASE, { type: "fanfare" }, done("fixed"));
  expect(view).toMatchObject({ id: "c1", state: "fixed", next: 3 });
  expect(view.items).toMatchObject([{ kind: "end", state: "fixed", verifiedBy: "checks" }]);
});

test("events that come twice change nothing", () => {
  const all = events(CASE, heard("slow"), check("a.b", "running"), check("a.b", "pass"), ASK, done("asking"));
  const once = all.reduce(withEvent, NO_CASE);
  assert(
    property(array(nat(all.length - 1)), (again) => {
      const twice = again.map((at) => all[at] as SupportEvent).reduce(withEvent, once);
      expect(twice).toEqual(once);
    }),
  );
});
