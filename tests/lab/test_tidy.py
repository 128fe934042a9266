"""Every fault of the catalogue has what a fault needs, or a written reason why it has not."""

from __future__ import annotations

from pathlib import Path

import pytest

from qwell.doctor.catalogue import load
from qwell.doctor.checks import CHECKS
from qwell.doctor.fault import Fault
from qwell.doctor.own_faults import own_faults
from qwell.lab.case import all_cases
from qwell.lab.excused import EXCUSED

DOCS = Path(__file__).parents[2] / "docs" / "faults"
FAULTS = list(load().faults.values())
CAUSED = {case.fault for case in all_cases()}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_a_fault_is_complete(fault: Fault) -> None:
    assert (fault.id in CAUSED) != (fault.id in EXCUSED), "an injector, or a reason for none"
    assert len(EXCUSED.get(fault.id, "a written reason")) > 12
    live = [signal for signal in fault.signals if signal.finding in CHECKS and signal.weight > 0]
    is_told = fault.rules and fault.phrases  # only a person can say so
    assert live or len(fault.signatures) > 1 or is_told, "nothing sees it"
    assert fault.remedies
    assert fault.verify
    assert set(fault.verify) <= {check.id for check in CHECKS}
    for text in (fault.title, fault.summary, fault.see, fault.why, fault.how):
        assert text.zh.strip()
        assert text.en.strip()
    assert (DOCS / f"{fault.id}.md").is_file()


def test_only_faults_of_the_catalogue_are_caused_or_excused() -> None:
    assert set(EXCUSED) | CAUSED <= set(load().faults) | set(own_faults())


def test_at_least_fifty_faults_over_nine_layers() -> None:
    faults = {**load().faults, **own_faults()}
    assert len(CAUSED) >= 50
    assert len({faults[name].layer for name in CAUSED}) == 9


def test_every_case_says_what_it_does() -> None:
    assert [case.name for case in all_cases() if not case.about] == []
