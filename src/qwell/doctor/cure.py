"""From a named fault to a verified fix: remedy, consent, treatment, watching, verification.

Decides which remedy comes next, and when a fault counts as fixed: its checks say so, or, where no
check can see it, the person. Knows nothing of how the fault was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qwell.doctor import consult
from qwell.doctor.actions import ACTIONS
from qwell.doctor.case import Trial, Verifier
from qwell.doctor.fault import Fault, Remedy
from qwell.doctor.finding import Finding, Status
from qwell.doctor.question_bank import ask_outcome
from qwell.doctor.scene import Scene, is_wrong
from qwell.doctor.suspects import Suspect

CHAT = "api.terminal_event"  # a real streamed conversation
_SAY_WHY = ("engine.accepts_model", "api.ready")  # which fault keeps the server from answering
_HOLD = 2  # looks in a row in which everything passes
MAX_WATCHES = 40


class Cure:
    """Of the case on the scene. Methods that end the turn say so by returning True."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._case = scene.case

    # ---- which remedy

    def next_remedy(self, suspect: Suspect) -> Remedy | None:
        """The best one left. What we can do ourselves comes first, where a check sees the fault."""
        fault = consult.find_fault(suspect.id)
        left = [r for r in fault.remedies if r.id not in self._case.tried(fault.id)]
        able = [r for r in left if self._can_do(fault, r)]
        other = [r for r in left if r not in able and (r.commands or r.safety == "manual")]
        ranked = sorted(able or other, key=lambda r: (r.safety != "auto", -r.fixes, r.cost))
        return ranked[0] if ranked else None

    def _can_do(self, fault: Fault, remedy: Remedy) -> bool:
        return remedy.action in ACTIONS and bool(self._wrong_checks(fault))

    def _wrong_checks(self, fault: Fault) -> list[str]:
        """The fault's checks that see it."""
        found = self._case.findings
        return [name for name in fault.verify if name in found and is_wrong(found[name])]

    def _awaited(self, fault: Fault) -> list[str]:
        """What has to turn green: its checks, and where the server itself names it, that, too."""
        found = [self._case.findings[name] for name in _SAY_WHY if name in self._case.findings]
        named = [f.check for f in found if is_wrong(f) and f.facts().get("fault") == fault.id]
        names = self._wrong_checks(fault)
        return list(dict.fromkeys([*names, *named])) if names else []

    def offer(self, suspect: Suspect, remedy: Remedy) -> None:
        """Show it, and wait: for a press, or for the person to do it. Ends the turn."""
        fault = consult.find_fault(suspect.id)
        is_ours = self._can_do(fault, remedy)
        self._case.fault, self._case.remedy = fault.id, remedy.id
        is_seen = bool(self._wrong_checks(fault))
        self._scene.say("consent" if is_ours else "manual" if is_seen else "manual_unseen")
        self._scene.event(
            "remedy",
            **_shown(suspect, remedy),
            fault=fault.id,
            safety=remedy.safety if is_ours else "manual",
            needs_consent=is_ours,
        )
        if is_ours:
            self._scene.end("awaiting_consent")
        else:
            self._wait_for_person()

    def _wait_for_person(self) -> None:
        self._case.question = ask_outcome()
        self._scene.event("ask", **self._case.question.to_dict(), suggested=None)
        self._scene.end("watching")

    # ---- ours

    def treat(self) -> bool:
        """Carry out the remedy that waits, with the person's consent. True: fixed, turn ended."""
        fault, remedy = self._pending()
        self._scene.say("treating")
        done = self._scene.clinic.treat(fault, remedy)
        can_undo = done.result == "fixed" and self._scene.clinic.can_undo(remedy.id)
        self._scene.event(
            "treated",
            remedy=remedy.id,
            fault=fault.id,
            result=done.result,
            because=done.because,
            can_undo=can_undo,
        )
        self._case.take(done.findings)
        self._note(done.result)
        if done.result in ("fixed", "nothing-to-fix"):
            for finding in done.findings:
                self._scene.show(finding, "verify")
            if self._chats():
                return self._fixed("checks")
            self._scene.say("still_wrong")
            return False
        known = {"undone": "treated_undone", "failed": "treated_failed"}
        self._scene.say(known.get(done.result, "treated_refused"))
        return False

    def _chats(self) -> bool:
        """A real conversation goes through, where a server is there to have one with."""
        found = {finding.check: finding for finding in self._scene.look([CHAT], "verify")}
        return CHAT not in found or not is_wrong(found[CHAT])

    def _pending(self) -> tuple[Fault, Remedy]:
        fault = consult.find_fault(self._case.fault)
        return fault, next(r for r in fault.remedies if r.id == self._case.remedy)

    def undo(self) -> None:
        """Take back the treatment that fixed it. Ends the turn."""
        is_undone = self._scene.clinic.undo(self._case.remedy)
        self._scene.say("undone" if is_undone else "cannot_undo")
        if is_undone:
            self._note("undone")
            self._case.verified_by = ""
            self._scene.look(consult.find_fault(self._case.fault).verify)
        self._scene.end("handed_over" if is_undone else "fixed")

    # ---- the person's

    def watch(self) -> bool:
        """Look until the checks that saw the fault pass, for a while. True: fixed, turn ended."""
        fault, _ = self._pending()
        names = self._awaited(fault)
        self._case.watches += 1
        self._scene.say("waiting")
        if not names or self._case.watches > MAX_WATCHES:
            return False
        patience, held, last = self._scene.patience, 0, dict[str, Status]()
        for _ in range(max(1, round(patience.watch_s / max(patience.look_s, 0.001)))):
            found = self._scene.clinic.examine(names, lambda _: None)
            last = self._tell_changes(found, last)
            held = held + 1 if _all_pass(found, names) else 0
            if held >= _HOLD:
                self._case.take(found)
                return self._chats() and self._fixed("checks")
            if self._scene.cancelled.wait(patience.look_s):
                break
        return False

    def _tell_changes(self, found: Sequence[Finding], last: dict[str, Status]) -> dict[str, Status]:
        for finding in found:
            if last.get(finding.check) is not finding.status:
                self._scene.show(finding, "verify")
        return {finding.check: finding.status for finding in found}

    def keep_waiting(self) -> None:
        """Nothing has changed: the same question again. Ends the turn."""
        self._wait_for_person()

    def check_word(self) -> bool:
        """The person says that it works. True: fixed, turn ended."""
        fault, _ = self._pending()
        names = self._awaited(fault)
        if not names:
            return self._fixed("person")
        self._scene.say("verifying")
        found = self._scene.look([*names, CHAT], "verify")
        if _all_pass(found, names) and not any(is_wrong(f) for f in found):
            return self._fixed("checks")
        if any(
            trial.result == "claimed" and trial.fault == fault.id for trial in self._case.trials
        ):
            return self._fixed("person")  # said twice: they know something that no check sees
        self._case.trials.append(Trial(fault.id, "", "claimed"))
        self._scene.say("still_wrong")
        return False

    def did_not_help(self) -> None:
        """The person says so: that remedy is through."""
        self._note("no help")
        fault, _ = self._pending()
        self._scene.look(self._wrong_checks(fault), "verify")

    def decline(self) -> None:
        self._note("declined")
        self._scene.say("declined")

    def _note(self, result: str) -> None:
        self._case.trials.append(Trial(self._case.fault, self._case.remedy, result))

    def _fixed(self, by: Verifier) -> bool:
        self._case.verified_by, self._case.question = by, None
        self._scene.say("fixed" if by == "checks" else "fixed_person")
        self._scene.end("fixed")
        return True


def _shown(suspect: Suspect, remedy: Remedy) -> dict[str, Any]:
    """The remedy as the diagnosis has it, with its commands filled in."""
    body = next((r for r in suspect.fault["remedies"] if r["id"] == remedy.id), None)
    assert body is not None
    return {"remedy": remedy.id, "do": body["do"], "commands": body["commands"]}


def _all_pass(found: Sequence[Finding], names: Sequence[str]) -> bool:
    passed = {finding.check for finding in found if finding.status is Status.PASS}
    return bool(names) and set(names) <= passed
