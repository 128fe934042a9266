"""What goes on side by side, and what goes alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qwell.lab.case import Case, Effect, all_cases
from qwell.lab.lanes import open_lanes, usual_lanes
from qwell.lab.leftovers import Run
from qwell.lab.run import _apart, _mixed
from qwell.lab.ward import Ward


def nothing(_patient: object) -> Iterator[Effect]:
    yield Effect("", str)


def test_tasks_meet_in_different_lanes(tmp_path: Path) -> None:
    meeting, wards = threading.Barrier(3, timeout=30), set[Ward]()

    def meet(ward: Ward) -> None:
        wards.add(ward)
        meeting.wait()

    with open_lanes(Run(tmp_path), 3) as lanes:
        lanes.abreast([meet, meet, meet])
    assert len(wards) == 3


def test_a_lane_is_for_one_task_at_a_time(tmp_path: Path) -> None:
    held: dict[Ward, threading.Lock] = {}

    def take(ward: Ward) -> None:
        lock = held.setdefault(ward, threading.Lock())
        assert lock.acquire(blocking=False), "somebody else is here"
        threading.Event().wait(0.001)
        lock.release()

    with open_lanes(Run(tmp_path), 2) as lanes:
        lanes.abreast([take] * 50)
    assert len(held) <= 2


def test_what_goes_alone_is_in_order_and_in_the_first_lane(tmp_path: Path) -> None:
    seen: list[tuple[int, Ward]] = []

    def note(number: int) -> Callable[[Ward], None]:
        return lambda ward: seen.append((number, ward))

    with open_lanes(Run(tmp_path), 3) as lanes:
        lanes.alone(note(number) for number in range(5))
        assert seen == [(number, lanes.first) for number in range(5)]


def test_after_a_bug_nothing_new_begins(tmp_path: Path) -> None:
    begun: list[str] = []

    def fail(_ward: Ward) -> None:
        raise ZeroDivisionError

    with open_lanes(Run(tmp_path), 1) as lanes, pytest.raises(ZeroDivisionError):
        lanes.abreast([fail, *[lambda _ward: begun.append("one")] * 1000])
    assert begun == []


def test_patients_of_two_lanes_have_folders_and_ports_of_their_own(tmp_path: Path) -> None:
    with open_lanes(Run(tmp_path), 2) as lanes:
        found = []
        for ward in lanes._wards:
            patient = ward.patient("scripted")
            found.append((patient.folder, patient.port))
    assert found[0][0] != found[1][0]
    assert found[0][1] != found[1][1]


def test_there_are_more_lanes_than_one() -> None:
    assert 2 <= usual_lanes() <= 4


def test_what_computes_and_what_waits_alternate() -> None:
    cases = [Case(name, "v", nothing, "none") for name in "abcd"]
    cases += [Case(name, "v", nothing, "scripted") for name in "ef"]
    assert [case.fault for case in _mixed(cases)] == ["a", "e", "b", "c", "f", "d"]


def test_limits_and_speeds_of_the_real_model_are_examined_alone() -> None:
    abreast, alone = _apart(all_cases())
    assert {case.who for case in abreast} == {"none", "scripted", "tiny"}
    assert {"oom-killed", "cgroup-cpu-throttled", "insufficient-ram"} <= {c.fault for c in alone}
    assert len(abreast) > 10 * len(alone)


def test_no_pair_has_a_case_that_goes_alone() -> None:
    assert [case.name for case in all_cases() if case.alone and case.uses] == []
