"""No alarm where nothing is wrong: a fresh, idle, busy, small, offline and proxied server."""

from __future__ import annotations

import pytest

from qwell.lab.case import all_cases
from qwell.lab.healthy import healthy_runs
from qwell.lab.leftovers import Run
from qwell.lab.pairs import pairs_of
from qwell.lab.ward import Ward

N_RUNS = 30  # `make lab` does 300


@pytest.mark.timeout(600)
def test_healthy_runs_without_an_alarm(ward: Ward, lab_run: Run) -> None:
    n, alarms = healthy_runs(ward, lab_run, N_RUNS)
    assert alarms == []
    assert n == N_RUNS


def test_there_are_twenty_pairs() -> None:
    pairs = pairs_of(all_cases())
    assert len(pairs) >= 20
    assert all(one.fault != other.fault for one, other in pairs)
