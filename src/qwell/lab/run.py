"""The whole lab: every chosen case, pairs, controls; one outcome.

Order and choice are the same in every run. Knows no fault.
"""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Callable, Iterable, Sequence

from qwell.doctor.consult import find_fault
from qwell.lab.case import CASES, Case, Kind, NotInjected, all_cases
from qwell.lab.healthy import healthy_runs
from qwell.lab.judge import Judge, Tell, silent
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
    watch: Watch = print,
    tell: Tell = silent,
) -> Outcome:
    """Watch hears one line for each thing that is done.

    The first variant of each fault comes first, then pairs and healthy runs, then the other
    variants; after so many minutes those that are left count as skipped.
    """
    started = time.monotonic()
    outcome = Outcome(machine=_machine())
    judge = Judge(tell, controls=controls)
    firsts, others = _firsts_and_others(cases)

    def cause(case: Case) -> None:
        if time.monotonic() - started > 60 * minutes:
            why = f"not reached in {minutes:g} minutes"
            result = Result(case.fault, case.variant, layer=find_fault(case.fault).layer)
            result.skipped = why
        else:
            noisy = with_noise and is_noisy(case.name)
            result = examine(judge, case, ward, with_noise=noisy)
        outcome.results.append(result)
        watch(line_of(result))

    with new_run() as run:
        ward = Ward(run)
        try:
            for case in _by_patient(firsts):
                cause(case)
            for first, second in pairs_of(all_cases())[:n_pairs]:
                pair = examine_pair(first, second, ward)
                outcome.pairs.append(pair)
                watch(f"pair {' + '.join(pair.faults)}: {_pair_word(pair.named, pair.invalid)}")
            if n_healthy:
                outcome.healthy_runs, outcome.alarms = healthy_runs(ward, run, n_healthy)
                watch(f"{outcome.healthy_runs} healthy runs, {len(outcome.alarms)} alarms")
            for case in _by_patient(others):
                cause(case)
        finally:
            ward.close()
    outcome.seconds = time.monotonic() - started
    return outcome


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
