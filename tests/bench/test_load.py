"""64 clients for a moment against the real server: `python -m qwell.bench.load` for longer."""

import asyncio

import pytest

from qwell.bench import load


@pytest.mark.timeout(200)
def test_sixty_four_clients_are_answered_and_leave_nothing_behind() -> None:
    [run] = asyncio.run(load.soak(["scripted"], seconds=4))
    assert run.problems == []
    assert run._leaks() == []
    assert run.outcomes["stop"] > 20
    assert max(sample.n_live for sample in run.samples) > 30
