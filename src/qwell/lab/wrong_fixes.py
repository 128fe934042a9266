"""The control of the oracle: with the fault still there, no empty and no wrong fix may pass.

    python -m qwell.lab.wrong_fixes FAULT

carries out every action that is no remedy of the fault, in the environment of the patient, and
prints what the verification said. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qwell.config import load
from qwell.doctor.actions import ACTIONS, Action, Facts, Hands, Impossible
from qwell.doctor.checks import CHECKS
from qwell.doctor.consult import find_fault
from qwell.doctor.fault import Bilingual, Fault, Remedy
from qwell.doctor.journal import Journal
from qwell.doctor.system import System
from qwell.doctor.treat import Practice
from qwell.doctor.way_back import NOTHING, Restarts, WayBack

if TYPE_CHECKING:
    from qwell.lab.case import Case, Effect
    from qwell.lab.patient import Patient

BUDGET_S = 1.5  # for one fault: looking at a slow check again and again takes too long
SETTLE_S = 15.0  # for a worker that was ended; the fault itself may keep the server silent
EMPTY, TOGETHER = "no-fix", "all-the-others"


def try_wrong_fixes(case: Case, effect: Effect, patient: Patient) -> tuple[int, list[str]]:
    """How many were tried, and which of them some verification let through.

    The empty fix is also tried on the person's own attempt.
    """
    url = next(
        (v for k, v in zip(effect.flags, effect.flags[1:], strict=False) if k == "--url"), ""
    )
    with patient.configured():
        done = patient.program(sys.executable, "-m", "qwell.lab.wrong_fixes", case.fault, url)
    line = done.stdout.strip().rpartition("\n")[2]
    tried: dict[str, str] = json.loads(line) if line.startswith("{") else {}
    passed = [name for name, result in tried.items() if result == "fixed"]
    if patient.server is not None:
        patient.settle(SETTLE_S)
    if not effect.trouble():
        passed.append("the attempt of a person, without any fix")
    return len(tried) + 1, passed


class RoughHands:
    """Restarts the worker by ending it: the supervisor starts the next one."""

    def __init__(self, look: System) -> None:
        self._system = look

    def restart_worker(self, changes: Mapping[str, Any]) -> None:
        """What changes stays as it is: a wrong fix need not be carried out well."""
        del changes
        pid = self._system.facts.get("worker", {}).get("pid")
        if not pid:
            raise Impossible("there is no worker")
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def wrong_remedies(fault: Fault) -> list[Remedy]:
    """The empty one, and each action that the fault does not name."""
    own = {remedy.action for remedy in fault.remedies}
    others = [name for name in ACTIONS if name not in own and name != EMPTY]
    names = [EMPTY, *_turned(others, fault.id)]
    return [Remedy(f"wrong-{name}", "auto", Bilingual("", ""), action=name) for name in names]


def _turned(names: list[str], fault: str) -> list[str]:
    """Another order for each fault: where time runs out, it is not always the same ones' turn."""
    start = zlib.crc32(fault.encode()) % max(1, len(names))
    return names[start:] + names[:start]


def _try_all(fault: Fault, url: str) -> dict[str, str]:
    settings, _ = load({})
    ACTIONS[EMPTY] = lambda _system, _hands, _facts: NOTHING

    def look() -> System:
        return System(settings, url=url)

    def try_one(remedy: Remedy) -> str:
        scratch = Path(settings.data_path) / f"{remedy.id}.trial"
        practice = Practice(
            look, RoughHands(look()), Journal(scratch), CHECKS, guards=(), settle_s=0.0, rounds=2
        )
        try:
            return practice.treat(fault, remedy, consent=True).result
        except OSError as error:
            return f"failed: {error}"

    return _in_time(wrong_remedies(fault), try_one)


def _in_time(
    remedies: list[Remedy], try_one: Callable[[Remedy], str], budget_s: float = BUDGET_S
) -> dict[str, str]:
    """One after the other while there is time, the others together: one look judges them all."""
    found: dict[str, str] = {}
    ends = time.monotonic() + budget_s
    for remedy in remedies:
        if time.monotonic() >= ends:
            break
        found[remedy.id] = try_one(remedy)
    if others := remedies[len(found) :]:
        ACTIONS[TOGETHER] = _together([remedy.action for remedy in others])
        result = try_one(Remedy(TOGETHER, "auto", Bilingual("", ""), action=TOGETHER))
        found |= {remedy.id: result for remedy in others}
    return found


def _together(names: list[str]) -> Action:
    """All these actions as one, and taken back in the other order."""

    def carry_out(system: System, hands: Hands, facts: Facts) -> WayBack:
        ways: list[WayBack] = []
        for name in names:
            with contextlib.suppress(Impossible, OSError):
                ways.append(ACTIONS[name](system, hands, facts))
        if not ways:
            raise Impossible("none of them applies here")
        return _Ways(ways=tuple(reversed(ways)))

    return carry_out


@dataclass(frozen=True, slots=True)
class _Ways(WayBack):
    """Several, one after the other."""

    ways: tuple[WayBack, ...] = ()

    def take(self, hands: Restarts) -> None:
        for way in self.ways:
            way.take(hands)


if __name__ == "__main__":
    print(json.dumps(_try_all(find_fault(sys.argv[1]), sys.argv[2])))
