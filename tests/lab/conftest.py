"""A run of the lab in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qwell.lab.case import Case
from qwell.lab.leftovers import Run, new_run
from qwell.lab.result import Result
from qwell.lab.run import run_lab
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
def results(request: pytest.FixtureRequest) -> dict[str, Result]:
    """Of each case that this session has a test of: all are caused, in lanes, before the first."""
    wanted = [case for item in request.session.items if (case := _case_of(item)) is not None]
    outcome = run_lab(wanted, with_noise=False)
    return {f"{result.id}/{result.variant}": result for result in outcome.results}


def _case_of(item: pytest.Item) -> Case | None:
    if not isinstance(item, pytest.Function) or "results" not in item.fixturenames:
        return None
    case = item.callspec.params["case"]
    assert isinstance(case, Case)
    return case
