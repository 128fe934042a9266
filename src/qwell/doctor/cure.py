"""From a named fault to a verified fix: remedy, consent, treatment, watching, verification.

Decides which remedy comes next, and when a fault counts as fixed: its checks say so, or, where no
check can see it, the person. Knows nothing of how the fault was found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from qwell.doctor import consult
from qwell.doctor.actions import ACTIONS, Impossible
from qwell.doctor.case import Trial, Verifier
from qwell.doctor.fault import Fault, Remedy
from qwell.doctor.finding import Finding, Status
from qwell.doctor.posted import PROBES
from qwell.doctor.question_bank import ask_outcome
from qwell.doctor.scene import Scene, is_wrong
from qwell.doctor.suspects import Suspect

CHAT = "api.terminal_event"  # a real streamed conversation
LOADS = "engine.accepts_model"
_SAY_WHY = (LOADS, "api.ready")  # which fault keeps the server from answering
_LOADING = (LOADS, "engine.loaded", "api.ready")
_UNTOLD = (Status.SKIP, Status.ERROR)  # a check that could not look
_RESTART = "restart-worker"
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
        tried = self._case.tried(fault.id)
        left = [r for r in fault.remedies if r.id not in tried and self._is_of_use(fault, r)]
        able = [r for r in left if self._can_do(fault, r)]
        other = [r for r in left if r not in able and (r.commands or r.safety == "manual")]
        ranked = sorted(able or other, key=lambda r: (r.safety != "auto", -r.fixes, r.cost))
        return ranked[0] if ranked else None

    def _is_of_use(self, fault: Fault, remedy: Remedy) -> bool:
        return remedy.action != _RESTART or not self._is_back(fault)

    def _is_back(self, fault: Fault) -> bool:
        """It was restarted by the server itself: checks only warn of it."""
        seen = [self._case.findings[name].status for name in self._wrong_checks(fault)]
        is_restarted = any(remedy.action == _RESTART for remedy in fault.remedies)
        return is_restarted and bool(seen) and Status.FAIL not in seen

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
        self._case.awaited = self._awaited(fault)
        if self._is_back(fault):
            self._scene.say("came_back")
            self._wait_for_person()
            return
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
        refused = self._case.findings.get(LOADS)
        can_reload = refused is not None and is_wrong(refused)
        self._case.question = ask_outcome(can_reload=can_reload)
        self._scene.event("ask", **self._case.question.to_dict(), suggested=None)
        self._scene.end("watching")

    # ---- ours

    def treat(self) -> bool:
        """Carry out the remedy that waits, with the person's consent. True: fixed, turn ended."""
        fault, remedy = self._pending()
        self._scene.say("treating")
        self._case.treating = remedy.id
        done = self._scene.clinic.treat(fault, remedy)
        self._case.treating = ""
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
            return self._proven()
        known = {"undone": "treated_undone", "failed": "treated_failed"}
        self._scene.say(known.get(done.result, "treated_refused"))
        return False

    def _proven(self) -> bool:
        """The fault's own checks pass: a real conversation is the proof. True: the turn ended.

        Where none can be held yet, the person is told so, and the fault is not called fixed.
        """
        status = self._chat()
        if status is Status.PASS:
            return self._fixed("checks")
        if status in _UNTOLD:
            self._scene.say("chat_untried")
            self._wait_for_person()
            return True
        self._scene.say("still_wrong")
        return False

    def _chat(self) -> Status:
        """How a real conversation with the server goes; skip where none can be held."""
        found = {finding.check: finding for finding in self._scene.look([CHAT], "verify")}
        return found[CHAT].status if CHAT in found else Status.SKIP

    def _pending(self) -> tuple[Fault, Remedy]:
        fault = consult.find_fault(self._case.fault)
        return fault, next(r for r in fault.remedies if r.id == self._case.remedy)

    def undo_cut_off(self) -> None:
        """Nobody saw whether it helped: it is taken back, and may be tried again."""
        is_undone = self._scene.clinic.undo(self._case.treating)
        self._case.treating = ""
        self._scene.say("cut_off" if is_undone else "cannot_undo")

    def undo(self) -> None:
        """Take back the treatment that fixed it, or was cut off. Ends the turn."""
        is_undone = self._scene.clinic.undo(self._case.remedy)
        self._case.treating = ""
        self._scene.say("undone" if is_undone else "cannot_undo")
        if is_undone:
            self._note("undone")
            self._case.verified_by = ""
            self._scene.look(consult.find_fault(self._case.fault).verify)
        self._scene.end("handed_over" if is_undone else "fixed")

    # ---- the person's

    def watch(self) -> bool:
        """Look until the checks that saw the fault pass, for a while. True: fixed, turn ended."""
        names, late = self._case.awaited, self._late_probes()
        self._case.watches += 1
        if not (names or late) or self._case.watches > MAX_WATCHES:
            return False
        if names and not self._is_back(consult.find_fault(self._case.fault)):
            self._scene.say("waiting")
        patience, held, last = self._scene.patience, 0, dict[str, Status]()
        for _ in range(max(1, round(patience.watch_s / max(patience.look_s, 0.001)))):
            found = self._scene.clinic.examine([*names, *late], lambda _: None)
            self._await_too([f for f in found if f.check in late and is_wrong(f)])
            found = [finding for finding in found if finding.check in names]
            last = self._tell_changes(found, last)
            held = held + 1 if _all_pass(found, names) else 0
            if held >= _HOLD or _another(found, self._case.fault):
                self._case.take(found)
                if self.names_another:
                    return False
                if (status := self._chat()) not in _UNTOLD:
                    return status is Status.PASS and self._fixed("checks")
                held = 0
            if self._scene.cancelled.wait(patience.look_s):
                break
        return False

    def _late_probes(self) -> list[str]:
        """What the page may yet find out: its examination of itself takes longer than ours."""
        known, fault = self._case.findings, consult.find_fault(self._case.fault)
        untold = [n for n in fault.verify if n not in known or known[n].status in _UNTOLD]
        return [name for name in untold if name in PROBES]

    def _await_too(self, found: Sequence[Finding]) -> None:
        """Only what was seen to be wrong can turn green."""
        self._case.take(found)
        self._case.awaited += [f.check for f in found if f.check not in self._case.awaited]

    @property
    def names_another(self) -> bool:
        """The server refuses the model for another reason than the one that is being cured."""
        return _another(self._case.findings.values(), self._case.fault)

    def is_overcome(self) -> None:
        """What was named is no longer what keeps the server from answering."""
        self._case.refuted.append(self._case.fault)
        self._scene.say("another")

    def reload(self) -> bool:
        """Let the server load the model again, and see whether it does. True: the turn ended."""
        self._scene.say("reloading")
        try:
            self._scene.clinic.reload()
        except Impossible as error:
            self._scene.say("cannot_reload", because=str(error))
            return False
        self._follow_loading()
        if self.names_another:
            return False
        return self.check_word()

    def _follow_loading(self) -> None:
        """Until the model is loaded or refused."""
        patience, last = self._scene.patience, dict[str, Status]()
        for _ in range(max(1, round(patience.watch_s / max(patience.reload_look_s, 0.001)))):
            found = self._scene.clinic.examine(_LOADING, lambda _: None)
            last = self._tell_changes(found, last)
            if _all_pass(found, _LOADING) or last.get(LOADS) is Status.FAIL:
                break
            if self._scene.cancelled.wait(patience.reload_look_s):
                break
        self._case.take(found)

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
        fault, names = self._case.fault, self._case.awaited
        if not names:
            return self._fixed("person")
        self._scene.say("verifying")
        found = self._scene.look([*names, CHAT], "verify")
        if _all_pass(found, [*names, CHAT]):
            return self._fixed("checks")
        if _all_pass(found, names) and not any(is_wrong(f) for f in found):
            return self._fixed("person")  # no conversation could be held here
        if any(trial.result == "claimed" and trial.fault == fault for trial in self._case.trials):
            return self._fixed("person")  # said twice: they know something that no check sees
        self._case.trials.append(Trial(fault, "", "claimed"))
        self._scene.say("still_wrong")
        return False

    def did_not_help(self) -> None:
        """The person says so: that remedy is through."""
        self._note("no help")
        self._scene.say("no_help")
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


def _another(found: Iterable[Finding], fault_id: str) -> bool:
    refusals = [f for f in found if f.check == LOADS and is_wrong(f)]
    return any(f.facts().get("fault") not in (fault_id, "", None) for f in refusals)
