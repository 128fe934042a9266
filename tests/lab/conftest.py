"""A run of the lab in this process, with patients that every test shares."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from qwell.lab.case import Case
from qwell.lab.judge import Judge
from qwell.lab.leftovers import Run, new_run
from qwell.lab.result import Result
from qwell.lab.run import examine
from qwell.lab.ward import Ward


@pytest.fixture(scope="session")
def lab_run() -> Iterator[Run]:
    with new_run() as run:
        yield run


@pytest.fixture(scope="session")
def ward(lab_run: Run) -> Iterator[Ward]:
    made = Ward(lab_run)
    yield made
    made.close()


@pytest.fixture(scope="session")
def examined(ward: Ward) -> Callable[[Case], Result]:
    """The case from healthy to healthy; each third one with the control of wrong fixes, too."""
    judges = [Judge(controls=True), Judge(controls=False), Judge(controls=False)]
    turns = itertools.count()
    return lambda case: examine(judges[next(turns) % 3], case, ward)
