"""From a fault and a remedy to an outcome: plan, consent, apply, settle, verify, undo.

Whether something is fixed is said by the checks that the fault names, never by the action.
Knows no action; actions.py has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from qwell.doctor.actions import ACTIONS, Hands, Impossible
from qwell.doctor.fault import Fault, Remedy
from qwell.doctor.finding import CHECKS, Finding, Registry, Status
from qwell.doctor.journal import Journal
from qwell.doctor.observe import observe, select
from qwell.doctor.preflight import PREFLIGHT
from qwell.doctor.system import System
from qwell.doctor.way_back import NOTHING, WayBack

Result = Literal[
    "fixed", "nothing-to-fix", "manual", "needs-consent", "refused", "failed", "undone"
]
_HOLD = 2  # rounds in a row in which everything must pass


@dataclass(frozen=True, slots=True)
class Treatment:
    """How it went. because: one line for people; findings: the last look at the fault's checks."""

    fault: str
    remedy: str
    result: Result
    because: str = ""
    findings: tuple[Finding, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "fault": self.fault,
            "remedy": self.remedy,
            "result": self.result,
            "because": self.because,
            "findings": [finding.to_dict() for finding in self.findings],
            "facts": self.facts,
        }


def forget(_back: WayBack) -> None:
    """For those who take nothing back once it has helped."""


@dataclass(frozen=True, slots=True)
class Practice:
    """What treating needs: a fresh look each time, hands, a journal and patience.

    look      makes a System that has read nothing yet
    settle_s  between two looks; rounds  how many looks until an action counts as useless
    keep      given what takes a change back as soon as it is made, and NOTHING when that was done
    """

    look: Callable[[], System]
    hands: Hands
    journal: Journal
    registry: Registry = CHECKS
    guards: tuple[str, ...] = PREFLIGHT
    settle_s: float = 1.0
    rounds: int = 30
    keep: Callable[[WayBack], None] = forget

    def see(self, names: Iterable[str]) -> list[Finding]:
        """The findings of these checks alone, of those that are declared."""
        wanted = [name for name in names if name in self.registry]
        if not wanted:
            return []
        found = observe(self.look(), select(self.registry, names=wanted), cap_s=60.0)
        return [finding for finding in found if finding.check in wanted]

    def treat(self, fault: Fault, remedy: Remedy, *, consent: bool = False) -> Treatment:
        """Never raises for what can go wrong with a fix."""

        def ended(result: Result, because: str = "", **more: Any) -> Treatment:
            return Treatment(fault.id, remedy.id, result, because, **more)

        if why := self._refusal(fault, remedy):
            return ended("manual" if remedy.safety == "manual" else "refused", why)
        before = self.see(fault.verify)
        if not _wrong(before):
            return ended("nothing-to-fix", findings=tuple(before))
        if remedy.safety == "confirm" and not consent:
            return ended("needs-consent", "this changes something that may be meant so")
        return self._carry_out(fault, remedy, before)

    def _refusal(self, fault: Fault, remedy: Remedy) -> str:
        if remedy.safety == "manual":
            return "only a person can do this"
        if remedy.action not in ACTIONS:
            return f"no action {remedy.action!r}"
        if not any(name in self.registry for name in fault.verify):
            return "no check could tell whether it helped"
        if self.journal.attempts_left(fault.id, remedy.id) == 0:
            return "tried twice within a day: it does not help"
        return ""

    def _carry_out(self, fault: Fault, remedy: Remedy, before: list[Finding]) -> Treatment:
        guarded = {f.check for f in self.see(self.guards) if f.status is Status.PASS}
        facts = _facts(before)
        self.journal.note("apply", fault.id, remedy.id, evidence=facts)
        try:
            back = ACTIONS[remedy.action](self.look(), self.hands, facts)
        except (Impossible, OSError) as error:
            self.journal.note("failed", fault.id, remedy.id, because=str(error))
            return Treatment(fault.id, remedy.id, "failed", str(error), tuple(before))
        self.keep(back)
        after, broken = self._settle(fault.verify, _wrong(before), guarded)
        if _is_cured(after, _wrong(before)) and not broken:
            self.journal.note("fixed", fault.id, remedy.id)
            return Treatment(fault.id, remedy.id, "fixed", "", tuple(after), facts)
        return self._take_back(fault, remedy, back, after, broken)

    def _settle(
        self, verify: Iterable[str], wrong: set[str], guarded: set[str]
    ) -> tuple[list[Finding], list[str]]:
        """Look until the fault is gone _HOLD times in a row; and which guards are hurt then."""
        held, after = 0, []
        for _ in range(self.rounds):
            after = self.see(verify)
            held = held + 1 if _is_cured(after, wrong) else 0
            if held >= _HOLD:
                break
            self.look().pause(self.settle_s)
        hurt = [f.check for f in self.see(guarded) if f.status in (Status.WARN, Status.FAIL)]
        return after, hurt

    def _take_back(
        self, fault: Fault, remedy: Remedy, back: WayBack, after: list[Finding], broken: list[str]
    ) -> Treatment:
        because = f"now broken: {', '.join(broken)}" if broken else "the fault is still there"
        try:
            back.take(self.hands)
        except (Impossible, OSError) as error:
            because = f"{because}; and it could not be undone: {error}"
            self.journal.note("failed", fault.id, remedy.id, because=because)
            return Treatment(fault.id, remedy.id, "failed", because, tuple(after))
        self.keep(NOTHING)
        self.journal.note("undone", fault.id, remedy.id, because=because)
        return Treatment(fault.id, remedy.id, "undone", because, tuple(after))


def _wrong(findings: list[Finding]) -> set[str]:
    return {f.check for f in findings if f.status in (Status.WARN, Status.FAIL)}


def _is_cured(after: list[Finding], wrong_before: set[str]) -> bool:
    """Every check that saw the fault passes now, and none of the others sees it instead.

    A check that was skipped, or broke, tells nothing: that is no cure.
    """
    passed = {finding.check for finding in after if finding.status is Status.PASS}
    return bool(wrong_before) and wrong_before <= passed and not _wrong(after)


def _facts(findings: list[Finding]) -> dict[str, Any]:
    """Evidence of what is wrong, by key."""
    wrong = _wrong(findings)
    return {k: v for f in findings if f.check in wrong for k, v in f.facts().items()}
