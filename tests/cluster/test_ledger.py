"""Who may write a copy, who may read it, and when somebody else may go on."""

from __future__ import annotations

import asyncio

import pytest

from qwell.cluster.ledger import FRONT_GONE_S, KEEP_S, READ_FOR_S, Ledger, Row

pytestmark = pytest.mark.anyio
ASKED = {"id": "r"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(clock: Clock) -> Ledger:
    return Ledger(clock)


def rows(*texts: str, start: int = 0) -> list[Row]:
    return [("s", number, text) for number, text in enumerate(texts, start)]


async def begin(ledger: Ledger, *texts: str) -> None:
    await ledger.commit("a", {"s": ASKED}, rows(*texts), set())


async def test_what_is_kept_is_found(ledger: Ledger) -> None:
    await begin(ledger, "0", "1")
    await ledger.commit("a", {}, rows("2", start=2), {"s"})
    assert await ledger.find("s") == {"request": ASKED, "events": ["0", "1", "2"], "ended": True}
    assert await ledger.find("t") is None
    assert await ledger.follow("t", 0) is None


async def test_a_follower_gets_what_comes(ledger: Ledger) -> None:
    await begin(ledger, "0")
    following = asyncio.create_task(ledger.follow("s", 1))
    await asyncio.sleep(0)
    await ledger.commit("a", {}, rows("1", start=1), set())
    assert await following == {"events": ["1"], "orphan": False}


async def test_the_owner_is_told_who_reads_and_who_stops(ledger: Ledger, clock: Clock) -> None:
    await begin(ledger, "0")
    await ledger.follow("s", 0)
    await ledger.stop("s")
    assert await ledger.commit("a", {}, [], set()) == {
        "lost": [], "followed": ["s"], "stopped": ["s"],
    }  # fmt: skip
    clock.now += READ_FOR_S
    assert (await ledger.commit("a", {}, [], set()))["followed"] == []
    assert (await ledger.commit("b", {}, [], set()))["stopped"] == []


async def test_only_what_a_silent_front_leaves_is_claimed_and_once(
    ledger: Ledger, clock: Clock
) -> None:
    await begin(ledger, "0")
    assert not await ledger.claim("s", "b")
    clock.now += FRONT_GONE_S
    assert (await ledger.follow("s", 1)) == {"events": [], "orphan": True}
    assert await ledger.claim("s", "b")
    assert not await ledger.claim("s", "c")
    told = await ledger.commit("a", {}, rows("late", start=1), set())
    assert told["lost"] == ["s"]
    await ledger.commit("b", {}, rows("1", start=1), set())
    assert (await ledger.follow("s", 0)) == {"events": ["0", "1"], "orphan": False}


async def test_a_front_that_leaves_in_order_is_not_waited_for(ledger: Ledger) -> None:
    await begin(ledger, "0")
    await ledger.leave("a")
    assert await ledger.claim("s", "b")


async def test_an_end_by_a_deadline_takes_the_place_of_what_came_with_it(ledger: Ledger) -> None:
    await begin(ledger, "0", "said")
    await ledger.commit("a", {}, rows("too late", start=1), {"s"})
    known = await ledger.find("s")
    assert known is not None
    assert known["events"] == ["0", "too late"]


async def test_a_copy_with_a_gap_is_none(ledger: Ledger) -> None:
    """After the ledger was away, nobody can go on from what it has."""
    await begin(ledger, "0")
    told = await ledger.commit("a", {}, rows("2", start=2), set())
    assert told["lost"] == []
    assert await ledger.find("s") is None


async def test_what_is_over_is_forgotten(ledger: Ledger, clock: Clock) -> None:
    await begin(ledger, "0")
    await ledger.commit("a", {}, [], {"s"})
    clock.now += KEEP_S + 1
    await ledger.commit("a", {}, [], set())
    assert await ledger.find("s") is None
