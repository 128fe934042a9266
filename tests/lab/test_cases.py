"""A third of the lab: each of these faults is caused, named first, cured, verified, undone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager

import pytest

from qwell.lab.case import Case, all_cases
from qwell.lab.result import Result
from qwell.lab.ward import Ward

QUICK = [case for case in all_cases() if case.quick]


def test_it_is_a_third_over_all_layers() -> None:
    layers = {case.inject.__module__.rpartition(".")[2] for case in QUICK}
    assert len(layers) == 9
    assert len(QUICK) >= len(all_cases()) / 3


@pytest.mark.timeout(1500)  # of the first, which waits for all of them
@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.name)
def test_a_fault_from_healthy_to_healthy(
    case: Case, results: dict[str, Result], requires_program: Callable[[str], str]
) -> None:
    for program in case.programs:
        if program not in ("ip", "nginx"):  # in folders that a plain user's PATH may lack
            requires_program(program)
    result = results[case.name]
    if result.skipped:
        pytest.skip(result.skipped)
    assert not result.invalid, result.invalid
    assert result.named, (result.top, result.said)
    assert result.grounded, result.top
    assert result.fixed, result.said
    assert result.verified, result.said
    assert result.undone, result.said
    assert result.false_passes == []


def test_without_a_fault_there_is_no_verdict(ward: Ward) -> None:
    """The control of the scenarios themselves: the same steps, and nothing is caused."""
    patient = ward.patient("scripted")
    with contextmanager(lambda _patient: iter([None]))(patient):
        patient.restart()
        assert patient.trouble() == ""
        assert patient.save_trouble() == ""
        report = patient.doctor()
    assert report["diagnoses"] == []
