"""Two faults at once: both have to stand in the diagnosis.

Which pairs is decided by the list of cases alone, so that every run has the same ones.
"""

from __future__ import annotations

import itertools
import time
from contextlib import ExitStack, contextmanager

from qwell.doctor.catalogue import load
from qwell.lab.case import Case, NotInjected
from qwell.lab.judge import unwell_because
from qwell.lab.result import Pair
from qwell.lab.ward import Ward


def pairs_of(cases: list[Case]) -> list[tuple[Case, Case]]:
    """Cases that can stand side by side, each fault as rarely as possible.

    A fault that explains the other is no second one: it would be folded.
    """
    able = [case for case in cases if case.uses and not case.lacks()]
    rounds = [
        (able[i], able[(i + step) % len(able)])
        for step in range(1, max(2, len(able) // 2))
        for i in range(len(able))
    ]
    once = {frozenset((one.name, other.name)): (one, other) for one, other in reversed(rounds)}
    return [pair for pair in reversed(once.values()) if _are_two(*pair)]


def _are_two(one: Case, other: Case) -> bool:
    faults = load().faults
    explains = {
        name
        for a, b in itertools.permutations((one, other))
        for name in ([b.fault] if b.fault in faults[a.fault].explains else [])
    }
    is_free = one.uses != other.uses and one.who == other.who
    return is_free and one.fault != other.fault and not explains


def examine_pair(one: Case, other: Case, ward: Ward) -> Pair:
    """Cause both, ask the doctor once, take both back."""
    pair = Pair((one.fault, other.fault))
    started = time.monotonic()
    patient = ward.patient(one.who)
    if unwell := unwell_because(one, patient):
        pair.invalid = f"unwell before: {unwell}"
        return pair
    try:
        with ExitStack() as stack:
            effects = [
                stack.enter_context(contextmanager(case.inject)(patient)) for case in (one, other)
            ]
            flags = [flag for effect in effects for flag in effect.flags]
            report = patient.doctor(*dict.fromkeys(flags))
            pair.top = [found["id"] for found in report["diagnoses"]]
    except NotInjected as error:
        pair.invalid = str(error)
    pair.named = {one.fault, other.fault} <= set(pair.top)
    pair.first = bool(pair.top) and pair.top[0] in pair.faults
    pair.undone = not unwell_because(one, patient)
    if not pair.undone:
        ward.replace(one.who)
    pair.seconds = round(time.monotonic() - started, 2)
    return pair
