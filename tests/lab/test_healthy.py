"""No alarm where nothing is wrong: a fresh, idle, busy, small, offline and proxied server."""

from __future__ import annotations

import pytest

from qwell.lab.case import all_cases
from qwell.lab.healthy import healthy_runs
from qwell.lab.lanes import open_lanes, usual_lanes
from qwell.lab.leftovers import Run
from qwell.lab.pairs import pairs_of

N_RUNS = 30  # `make lab` does 300


@pytest.mark.timeout(600)
def test_healthy_runs_without_an_alarm(lab_run: Run) -> None:
    with open_lanes(lab_run, usual_lanes()) as lanes:
        n, alarms = healthy_runs(lanes, lab_run, N_RUNS)
    assert alarms == []
    assert n == N_RUNS


def test_there_are_twenty_pairs() -> None:
    pairs = pairs_of(all_cases())
    assert len(pairs) >= 20
    assert all(one.fault != other.fault for one, other in pairs)
