"""One scenario from healthy to healthy: cause, meet, name, cure, verify, take back.

The doctor is asked by its commands, as a person would. Knows no fault and no layer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from typing import Any

from qwell.doctor.actions import ACTIONS
from qwell.doctor.consult import find_fault
from qwell.lab.case import Case, Effect, NotInjected
from qwell.lab.noise import harmless_lines, harmless_things
from qwell.lab.patient import Patient
from qwell.lab.result import Result
from qwell.lab.wrong_fixes import try_wrong_fixes

_PATIENCE_S = 12.0  # until a cure that works is to be felt
_RECOVERY_S = 40.0  # until somebody who is not well yet counts as ill: slow machines need time
Tell = Callable[[str, str], None]  # what happens, in one word, and how


def silent(_what: str, _text: str) -> None:
    """For those who do not watch."""


class Judge:
    """Takes one case at a time to one patient. tell hears of every step.

    controls: wrong fixes are tried, too, at the first case of each fault.
    """

    def __init__(self, tell: Tell = silent, *, controls: bool = True) -> None:
        self._tell = tell
        self._controls = controls
        self._well: set[Patient] = set()  # as the end of the case before has shown
        self._controlled: set[str] = set()  # faults

    def examine(self, case: Case, patient: Patient, *, with_noise: bool = False) -> Result:
        """Never raises for what a scenario can do wrong: that is its result."""
        layer = find_fault(case.fault).layer
        result = Result(case.fault, case.variant, layer=layer, with_noise=with_noise)
        started = time.monotonic()
        if lacking := case.lacks():
            result.skipped = lacking
            return result
        if patient not in self._well and (unwell := unwell_because(case, patient)):
            result.invalid = f"unwell before: {unwell}"
            return result
        self._well.discard(patient)
        patient.forget()
        try:
            with ExitStack() as stack:
                if with_noise:
                    stack.enter_context(harmless_things(patient))
                effect = stack.enter_context(contextmanager(case.inject)(patient))
                self._during(effect, case, patient, result)
        except NotInjected as error:
            result.skipped = str(error)
        self._after(case, patient, result)
        result.seconds = round(time.monotonic() - started, 2)
        return result

    def _after(self, case: Case, patient: Patient, result: Result) -> None:
        if patient.server is not None and patient.facts().get("worker", {}).get("restarts"):
            patient.restart()  # wrong fixes have ended workers, which would be an alarm
        unwell = unwell_because(case, patient)
        result.undone = not unwell
        if not unwell:
            self._well.add(patient)
        if unwell:
            result.said += f"; unwell afterwards: {unwell}"
        self._tell("undone", unwell or "healthy again")

    def _during(self, effect: Effect, case: Case, patient: Patient, result: Result) -> None:
        result.proof, result.injected = effect.proof, bool(effect.proof)
        self._tell("caused", effect.proof)
        result.symptom = effect.trouble()[:500]
        result.visible = bool(result.symptom)
        self._tell("seen", result.symptom)
        if not result.is_valid:
            result.invalid = "nobody would notice"
            return
        self._name(effect, case, patient, result)
        if self._controls and case.fault not in self._controlled:
            self._controlled.add(case.fault)
            result.wrong_fixes, result.false_passes = try_wrong_fixes(case, effect, patient)
        self._cure(effect, case, patient, result)

    # -- naming

    def _name(self, effect: Effect, case: Case, patient: Patient, result: Result) -> None:
        started = time.monotonic()
        report = patient.doctor(*effect.flags)
        diagnoses, result.by = report["diagnoses"], "doctor"
        result.detected = report["status"] in ("degraded", "broken")
        if not diagnoses and (log := effect.log()):
            noise = harmless_lines() if result.with_noise else ""
            verdict = patient.diagnose(noise + log)
            diagnoses, result.by = verdict["faults"], "log"
            result.detected |= bool(diagnoses)
        result.diagnosis_s = round(time.monotonic() - started, 2)
        result.top = [found["id"] for found in diagnoses]
        result.named = result.top[:1] == [case.fault]
        result.grounded = result.named and _is_grounded(diagnoses[0], report, effect.clue)
        result.rivals = [item["id"] for found in diagnoses[:1] for item in found["ruled_out"]]
        if not result.named:
            result.said = str([_brief(f) for f in report["findings"] if _is_wrong(f)])[:800]
        self._tell("named", _told(diagnoses))

    # -- cure

    def _cure(self, effect: Effect, case: Case, patient: Patient, result: Result) -> None:
        result.fixed = self._by_itself(effect, case, patient, result)
        if not result.fixed and effect.by_hand is not None:
            self._tell("treated", _commands_by_hand(case.fault))
            effect.by_hand()
            result.remedy = result.remedy or "manual"
            result.fixed = True
        if result.fixed:
            self._verify(effect, case, patient, result)
        self._tell("verified" if result.verified else "not cured", result.said)

    def _by_itself(self, effect: Effect, case: Case, patient: Patient, result: Result) -> bool:
        """With a remedy that the doctor carries out; whether it says that this helped."""
        able = [r for r in find_fault(case.fault).remedies if r.action in ACTIONS]
        if not able or result.by != "doctor" or not result.named:
            return False
        said = patient.fix(*effect.flags)
        lines = {r: line for r in able for line in said.splitlines() if line.startswith(r.do.en)}
        for remedy, line in lines.items():
            self._tell("treated", line)
            if ": fixed: " in line:
                result.remedy = remedy.safety
                return True
            result.said += f" {line};"
            if "was taken back" in line:
                result.remedy = remedy.safety  # it was carried out, and did not help
        return False

    def _verify(self, effect: Effect, case: Case, patient: Patient, result: Result) -> None:
        """The person's own attempt works, and the doctor names the fault no more."""
        revive(patient)
        flags = effect.flags if effect.cured_flags is None else effect.cured_flags

        def named() -> str:
            found = [diagnosis["id"] for diagnosis in patient.doctor(*flags)["diagnoses"]]
            return f"the doctor names {found}" if case.fault in found else ""

        still = _for_long(effect.trouble) or _for_long(named)
        result.verified = not still
        if still:
            result.said += f" after the cure: {still}"


def _commands_by_hand(fault: str) -> str:
    """What the catalogue tells a person to do."""
    remedies = [r for r in find_fault(fault).remedies if r.safety == "manual"]
    return "\n  ".join(command for remedy in remedies for command in remedy.commands)


def _for_long(trouble: Callable[[], str]) -> str:
    """What is still wrong when everybody had time: a store, for one, tries again by itself."""
    ends = time.monotonic() + _PATIENCE_S
    while (found := trouble()) and time.monotonic() < ends:
        time.sleep(0.5)
    return found


def revive(patient: Patient) -> None:
    """Start what a person would start again: a server that is meant to run, and does not."""
    if patient.server is not None and patient.server.poll() is not None:
        patient.start()
    elif patient.server is not None:
        patient.settle()


def unwell_because(case: Case, patient: Patient, patience_s: float = _RECOVERY_S) -> str:
    """Why a patient without a fault is not well after all this time, "" when it is."""
    ends = time.monotonic() + patience_s
    while (why := _unwell_now(case, patient)) and time.monotonic() < ends:
        time.sleep(0.5)
    return why


def _unwell_now(case: Case, patient: Patient) -> str:
    if case.who != "none":
        if patient.server is None or patient.state() != "ready":
            patient.restart()
        if trouble := patient.trouble():
            return trouble
    report = patient.doctor()
    wrong = [_brief(finding) for finding in report["findings"] if _is_wrong(finding)]
    if wrong or not report["findings"]:
        return f"{report['status']} {wrong} {report.get('said', '')}"
    return ""


def _is_wrong(finding: dict[str, Any]) -> bool:
    return finding["status"] in ("warn", "fail")


def _brief(finding: dict[str, Any]) -> str:
    facts = {item["key"]: item["value"] for item in finding["evidence"]}
    return f"{finding['check']} {finding['status']}: {finding['because']} {facts}"


def _is_grounded(first: dict[str, Any], report: dict[str, Any], clue: str) -> bool:
    """What the verdict cites, or a finding that failed, holds what is known to be true."""
    wrong = [finding for finding in report["findings"] if _is_wrong(finding)]
    return bool(first["evidence"]) and clue in f"{first['evidence']} {wrong}"


def _told(diagnoses: list[dict[str, Any]]) -> str:
    return ", ".join(f"{found['id']} {found['p']:.2f}" for found in diagnoses) or "nothing"
