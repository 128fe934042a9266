"""Runs checks: in the order of what they need, side by side, each with its own patience.

Whatever a check does, there is a finding for it: a crash and a time-out are results, too.
Judges nothing; knows no layer.
"""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qwell.doctor.finding import (
    LAYERS,
    Check,
    Finding,
    Layer,
    Outcome,
    Registry,
    Status,
)

if TYPE_CHECKING:
    from qwell.doctor.system import System

CAP_S = 10.0  # for everything together, when nothing deep is asked for: network.silence waits 6
DEEP_CAP_S = 180.0
_ABREAST = 8  # more only wait for each other's turn at the interpreter
Watch = Callable[[Finding], None]


def select(
    registry: Registry,
    *,
    layers: Iterable[Layer] = (),
    names: Iterable[str] = (),
    deep: bool = False,
) -> list[Check]:
    """Checks of these layers or of these names, with everything that they need.

    Neither layers nor names: all. Without deep, the deep ones only by name.
    """
    wanted_layers, wanted = set(layers), set(names)
    chosen = [
        check
        for check in registry
        if check.id in wanted
        or (
            (not wanted and (not wanted_layers or check.layer in wanted_layers))
            and (deep or not check.deep)
        )
    ]
    return _with_needs(registry, chosen)


def _with_needs(registry: Registry, chosen: list[Check]) -> list[Check]:
    names = [check.id for check in chosen]
    for name in names:
        names += [need for need in registry[name].needs if need not in names]
    found = [check for check in registry if check.id in names]
    return sorted(found, key=lambda check: LAYERS.index(check.layer))


def ignore(_finding: Finding) -> None:
    """For those who do not watch."""


def observe(
    system: System,
    checks: Iterable[Check] | None = None,
    *,
    cap_s: float = CAP_S,
    watch: Watch = ignore,
) -> list[Finding]:
    """One finding per check, in the order of the checks. watch sees each as soon as it is there.

    Changes nothing. Checks that hang are left behind in threads that die with the process.
    """
    if checks is None:
        from qwell.doctor.checks import CHECKS as ALL  # importing them declares them

        checks = select(ALL)
    todo = list(checks)
    findings = _Run(system, todo, cap_s, watch).findings()
    return [findings[check.id] for check in todo]


@dataclass(slots=True)
class _Running:
    check: Check
    started: float


class _Run:
    """One round over a set of checks that holds everything they need."""

    def __init__(self, system: System, todo: list[Check], cap_s: float, watch: Watch) -> None:
        self._system = system
        self._waiting = list(todo)
        self._running: dict[str, _Running] = {}
        self._done: dict[str, Finding] = {}
        self._results: queue.SimpleQueue[tuple[str, Outcome]] = queue.SimpleQueue()
        self._ends = time.monotonic() + cap_s
        self._watch = watch

    def findings(self) -> dict[str, Finding]:
        while self._waiting or self._running:
            self._start_ready()
            self._collect()
        return self._done

    def _start_ready(self) -> None:
        """Start what has all it needs; skip what will never have it. Until nothing changes."""
        changed = True
        while changed:
            changed = False
            for check in list(self._waiting):
                if (missing := self._missing(check)) is not None:
                    self._waiting.remove(check)
                    self._note(check, Outcome(Status.SKIP, missing), 0.0)
                    changed = True
                elif self._may_start(check):
                    self._waiting.remove(check)
                    self._start(check)

    def _missing(self, check: Check) -> str | None:
        """Why the check cannot run, when that is certain."""
        if time.monotonic() > self._ends:
            return "the time for all checks is over"
        for need in check.needs:
            finding = self._done.get(need)
            if finding is not None and finding.status is not Status.PASS:
                return _reason(finding)
        return None

    def _may_start(self, check: Check) -> bool:
        has_all = all(need in self._done for need in check.needs)
        return has_all and len(self._running) < _ABREAST

    def _start(self, check: Check) -> None:
        self._running[check.id] = _Running(check, time.monotonic())
        threading.Thread(target=self._work, args=(check,), daemon=True).start()

    def _work(self, check: Check) -> None:
        try:
            outcome = check.run(self._system)
        except Exception as error:  # noqa: BLE001  a crash of a check is a result
            where = traceback.extract_tb(error.__traceback__)[-1]
            text = f"{type(error).__name__}: {error} ({where.name}:{where.lineno})"
            outcome = Outcome(Status.ERROR, text)
        self._results.put((check.id, outcome))

    def _collect(self) -> None:
        """Take one result, or give up on whoever is out of time."""
        if not self._running:
            return
        now = time.monotonic()
        deadline = min(self._deadline(running) for running in self._running.values())
        try:
            name, outcome = self._results.get(timeout=max(0.0, deadline - now))
        except queue.Empty:
            self._give_up()
            return
        if (running := self._running.pop(name, None)) is not None:
            self._note(running.check, outcome, 1e3 * (time.monotonic() - running.started))

    def _deadline(self, running: _Running) -> float:
        return min(running.started + running.check.timeout_s, self._ends)

    def _give_up(self) -> None:
        now = time.monotonic()
        for running in list(self._running.values()):
            if now >= self._deadline(running):
                del self._running[running.check.id]
                seconds = now - running.started
                outcome = Outcome(Status.ERROR, f"no result after {seconds:.1f} s")
                self._note(running.check, outcome, 1e3 * seconds)

    def _note(self, check: Check, outcome: Outcome, ms: float) -> None:
        finding = Finding(
            check.id, check.layer, outcome.status, outcome.evidence, outcome.because, ms
        )
        self._done[check.id] = finding
        self._watch(finding)


def _reason(finding: Finding) -> str:
    """Why something that needs this finding cannot run: the first cause, not the chain."""
    if finding.status is Status.SKIP:
        return finding.because
    return f"{finding.check}: {finding.because or finding.status.value}"
