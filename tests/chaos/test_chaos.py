"""Whatever dies under whoever talks: no stream hangs, nothing is lost, nothing is left behind.

`make chaos` is the same for 200 events, and writes docs/reports/chaos.md.
"""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from qwell.bench import chaos


@pytest.mark.timeout(280)
def test_forty_kills_hangs_stops_and_dropped_connections(tmp_path: Path) -> None:
    report = asyncio.run(chaos.run(40, seed=7, data_dir=tmp_path))
    assert report.problems == []
    assert report.done == Counter(chaos.plan(40, seed=7))
    assert report.restarts >= 10
    assert report.n_stored > 10


def test_a_plan_is_a_quarter_of_kills_and_can_be_repeated() -> None:
    events = chaos.plan(200, seed=3)
    assert events == chaos.plan(200, seed=3)
    assert events != chaos.plan(200, seed=4)
    assert sum(event in chaos.KILLS for event in events) == 50
    assert {*events} == {*chaos.KILLS, *chaos.DISTURBANCES}
