"""The whole lab: every chosen case, pairs, controls; one outcome.

Choice and order of beginning are the same in every run. Knows no fault.
"""

from __future__ import annotations

import math
import os
import platform
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from qwell.doctor.consult import find_fault
from qwell.lab.case import CASES, Case, Kind, NotInjected, all_cases
from qwell.lab.healthy import healthy_runs
from qwell.lab.judge import Judge
from qwell.lab.lanes import open_lanes, usual_lanes
from qwell.lab.leftovers import new_run
from qwell.lab.noise import is_noisy
from qwell.lab.pairs import examine_pair, pairs_of
from qwell.lab.result import Outcome, Result
from qwell.lab.ward import Ward

Watch = Callable[[str], None]
_ORDER: tuple[Kind, ...] = ("none", "scripted", "tiny", "real")


def run_lab(
    cases: Sequence[Case],
    *,
    n_pairs: int = 0,
    n_healthy: int = 0,
    with_noise: bool = True,
    controls: bool = True,
    minutes: float = math.inf,
    n_lanes: int = 0,
    watch: Watch = print,
) -> Outcome:
    """Watch hears one line for each thing that is done.

    n_lanes: how many scenarios at a time, 0: as suits this machine; some go alone. The first
    variant of each fault comes first, then pairs, then the other variants; after so many minutes
    those that are left count as skipped.
    """
    started = time.monotonic()
    n_lanes = n_lanes or usual_lanes()
    outcome = Outcome(machine=_machine() | {"lanes": n_lanes})
    session = _Session(outcome, Judge(controls=controls), started + 60 * minutes, with_noise, watch)
    (firsts, lonely), (others, lonely_others) = map(_apart, _firsts_and_others(cases))
    pairs = pairs_of(all_cases())[:n_pairs]
    with new_run() as run, open_lanes(run, n_lanes) as lanes:
        lanes.alone(partial(session.cause, case) for case in _by_patient(lonely))
        lanes.abreast(
            [
                *(partial(session.cause, case) for case in _mixed(firsts)),
                *(partial(session.cause_both, *pair) for pair in pairs),
                *(partial(session.cause, case) for case in _mixed(others)),
            ]
        )
        lanes.alone(partial(session.cause, case) for case in _by_patient(lonely_others))
        if n_healthy:
            outcome.healthy_runs, outcome.alarms = healthy_runs(lanes, run, n_healthy)
            watch(f"{outcome.healthy_runs} healthy runs, {len(outcome.alarms)} alarms")
    names = [case.name for case in cases]
    outcome.results.sort(key=lambda result: names.index(f"{result.id}/{result.variant}"))
    outcome.pairs.sort(key=lambda pair: pair.faults)
    outcome.seconds = time.monotonic() - started
    return outcome


@dataclass(frozen=True, slots=True)
class _Session:
    """What is done with a case or a pair on whichever ward, and noted by one at a time."""

    outcome: Outcome
    judge: Judge
    ends_at: float
    with_noise: bool
    watch: Watch
    turn: threading.Lock = field(default_factory=threading.Lock)

    def cause(self, case: Case, ward: Ward) -> None:
        if time.monotonic() > self.ends_at:
            result = Result(case.fault, case.variant, layer=find_fault(case.fault).layer)
            result.skipped = "not reached in the minutes that were given"
        else:
            noisy = self.with_noise and is_noisy(case.name)
            result = examine(self.judge, case, ward, with_noise=noisy)
        with self.turn:
            self.outcome.results.append(result)
            self.watch(line_of(result))

    def cause_both(self, one: Case, other: Case, ward: Ward) -> None:
        pair = examine_pair(one, other, ward)
        with self.turn:
            self.outcome.pairs.append(pair)
            self.watch(f"pair {' + '.join(pair.faults)}: {_pair_word(pair.named, pair.invalid)}")


def _apart(cases: Iterable[Case]) -> tuple[list[Case], list[Case]]:
    """Those that can stand beside others, and those that go alone."""
    found = list(cases)
    return [case for case in found if not case.alone], [case for case in found if case.alone]


def _mixed(cases: Sequence[Case]) -> list[Case]:
    """Each kind of server from beginning to end: those that compute beside those that wait."""
    kinds = {kind: [case.name for case in cases if case.who == kind] for kind in _ORDER}
    return sorted(cases, key=lambda case: kinds[case.who].index(case.name) / len(kinds[case.who]))


def _firsts_and_others(cases: Iterable[Case]) -> tuple[list[Case], list[Case]]:
    """The first variant of each fault, and further ones."""
    firsts: dict[str, Case] = {}
    others = [case for case in cases if firsts.setdefault(case.fault, case) is not case]
    return list(firsts.values()), others


def examine(judge: Judge, case: Case, ward: Ward, *, with_noise: bool = False) -> Result:
    """One case on a patient of its kind; a patient that does not recover is replaced."""
    try:
        patient = ward.patient(case.who)
    except NotInjected as error:
        return Result(case.fault, case.variant, skipped=str(error))
    result = judge.examine(case, patient, with_noise=with_noise)
    if not result.undone and not result.skipped:
        ward.replace(case.who)
    return result


def _by_patient(cases: Iterable[Case]) -> list[Case]:
    """Those of one kind of server together: it is started once."""
    return sorted(cases, key=lambda case: _ORDER.index(case.who))


def line_of(result: Result) -> str:
    """One line for a person who waits."""
    name = f"{result.id}/{result.variant}"
    if result.skipped or result.invalid:
        return f"----  {name}: {result.skipped or result.invalid}"
    flags = {
        "named": result.named, "grounded": result.grounded, "fixed": result.fixed,
        "verified": result.verified, "undone": result.undone,
        "control": not result.false_passes,
    }  # fmt: skip
    missed = [word for word, is_so in flags.items() if not is_so]
    word = "ok   " if not missed else "MISS "
    how = f"{result.by}, {result.remedy or 'no remedy'}, {result.seconds:.0f} s"
    more = f": not {', '.join(missed)}; top {result.top[:3]} {result.said}" if missed else ""
    passed = f" {result.false_passes}" if result.false_passes else ""
    return f"{word} {name} ({how}){more}{passed}"


def _pair_word(named: bool, invalid: str) -> str:
    return invalid or ("both named" if named else "not both named")


def _machine() -> dict[str, str | int]:
    return {
        "system": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "cpus": len(os.sched_getaffinity(0)),
        "cases": len(CASES),
    }
