"""A loop that is blocked is late by as much; one that is free is on time."""

import asyncio
import time

import pytest

from qwell.server.loop_lag import EVERY_S, lag_observed

pytestmark = pytest.mark.anyio


async def test_a_blocked_loop_is_late() -> None:
    lags: list[float] = []
    async with lag_observed(lags.append):
        await asyncio.sleep(0)
        time.sleep(3 * EVERY_S)  # noqa: ASYNC251  this is what must be noticed
        await asyncio.sleep(EVERY_S / 2)
    assert lags[0] >= 1.9 * EVERY_S


async def test_it_is_asked_again_and_again_until_the_end() -> None:
    lags: list[float] = []
    enough = asyncio.Event()

    def observe(lag: float) -> None:
        lags.append(lag)
        if len(lags) == 3:
            enough.set()

    async with lag_observed(observe):
        await enough.wait()
    n = len(lags)
    await asyncio.sleep(2 * EVERY_S)
    assert len(lags) == n
    assert min(lags) >= 0
