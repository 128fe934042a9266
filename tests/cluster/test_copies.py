"""Two fronts over one ledger: whoever has an answer, readers of both read all of it, once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from qwell.cluster.copies import Copies, LedgerLostError
from qwell.cluster.fleet import Fleet
from qwell.cluster.ledger import Ledger
from qwell.core import Delta, Done, Event, Message, Request
from qwell.server.admission import Admission
from qwell.server.streams import Bounds, Stream, Streams

pytestmark = pytest.mark.anyio
HELLO = Request("r1", (Message("user", "count"),))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qwell.cluster.copies.SPEAK_EVERY_S", 0.01)
    monkeypatch.setattr("qwell.cluster.ledger.FRONT_GONE_S", 0.2)
    monkeypatch.setattr("qwell.cluster.ledger.FOLLOW_S", 0.05)
    monkeypatch.setattr("qwell.cluster.ledger.READ_FOR_S", 0.1)


class Engines:
    """Says the pieces that are handed to it; an answer asked for again gets the next ones."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.is_asked = asyncio.Event()
        self.told: list[str] = []
        self.orders: asyncio.Queue[str] = asyncio.Queue()
        self.said: asyncio.Queue[Event] = asyncio.Queue()

    async def ask(self, request: Request, key: str) -> AsyncGenerator[tuple[str, Sequence[Event]]]:
        assert key
        self.asked.append(request)
        self.is_asked.set()
        yield "engine", ()
        while True:
            yield "engine", [await self.said.get()]

    async def tell(self, engine: str, op: str, request_id: str) -> None:
        assert engine == "engine"
        self.told.append(f"{op} {request_id}")
        self.orders.put_nowait(op)
        if op == "cancel" and any(request.id == request_id for request in self.asked):
            self.said.put_nowait(Done("cancelled"))

    async def notes(self) -> Sequence[Mapping[str, Any]]:
        return [{"engine": "engine"}]


class Line:
    """To a ledger in this process. Cut: as where the head node is lost."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.is_cut = False

    async def call(self, method: str, *arguments: Any) -> Any:
        if self.is_cut:
            raise LedgerLostError("cut")
        return await getattr(self.ledger, method)(*arguments)


class Front:
    def __init__(self, ledger: Ledger) -> None:
        self.engines = Engines()
        self.line = Line(ledger)
        self.copies = Copies(self.line, Fleet(self.engines))
        fleet = self.copies.fleet
        self.streams = Streams(fleet, Bounds(), Admission(8), copies=self.copies)

    def open(self, request: Request = HELLO) -> Stream:
        return self.streams.open(request, grace_s=60, is_copied=True)

    async def find(self, stream_id: str) -> Stream:
        stream = await self.streams.find(stream_id, 60, lambda _: None)
        assert stream is not None
        return stream

    async def die(self, stream: Stream) -> None:
        """Neither its producer nor its voice says another word."""
        self.line.is_cut = True
        speaking = self.copies._speaking
        assert speaking is not None
        speaking.cancel()
        stream.producer.cancel()
        await asyncio.wait([stream.producer, speaking])


@pytest.fixture
async def fronts() -> AsyncIterator[tuple[Front, Front]]:
    ledger = Ledger()
    one, other = Front(ledger), Front(ledger)
    for front in (one, other):
        await front.copies.start()
    yield one, other
    for front in (one, other):
        front.line.is_cut = False
        await front.copies.stop()


async def read(stream: Stream, start: int = 0) -> list[dict[str, Any]]:
    with stream.attached():
        return [entry.to_dict() async for entry in stream.read(start)]


async def first(stream: Stream, n: int) -> list[dict[str, Any]]:
    """The first n events; the reader then leaves."""
    found: list[dict[str, Any]] = []
    with stream.attached():
        async with aclosing(stream.read()) as entries:
            async for entry in entries:
                found.append(entry.to_dict())
                if len(found) == n:
                    return found
    return found


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(event.get("text", "") for event in events)


async def test_a_reader_of_another_front_reads_the_same(fronts: tuple[Front, Front]) -> None:
    one, other = fronts
    stream = one.open()
    one.engines.said.put_nowait(Delta("one"))
    before = await first(stream, 2)
    reading = asyncio.create_task(read(await other.find(stream.id), 2))
    for event in (Delta(" two"), Done()):
        one.engines.said.put_nowait(event)
    after = await reading
    assert [event["seq"] for event in before + after] == [0, 1, 2, 3]
    assert before + after == [entry.to_dict() for entry in stream.entries]
    assert before[0]["stream"] == stream.id
    assert other.engines.asked == []


async def test_when_its_front_is_gone_another_goes_on(fronts: tuple[Front, Front]) -> None:
    one, other = fronts
    stream = one.open()
    for piece in ("one", " two"):
        one.engines.said.put_nowait(Delta(piece))
    before = await first(stream, 3)
    await one.die(stream)
    other.engines.said.put_nowait(Delta(" three"))
    other.engines.said.put_nowait(Done())
    after = await read(await other.find(stream.id), len(before))
    assert text_of(before + after) == "one two three"
    assert [event["seq"] for event in before + after] == [0, 1, 2, 3, 4]
    assert after[-1]["type"] == "done"
    (asked,) = other.engines.asked
    assert (asked.messages[-1].content, asked.continue_last) == ("one two", True)
    assert "cancel r1" in other.engines.told  # the first attempt may still run


async def test_readers_have_nothing_that_the_ledger_has_not(fronts: tuple[Front, Front]) -> None:
    one, _ = fronts
    stream = one.open()
    for number in range(20):
        one.engines.said.put_nowait(Delta(str(number)))
    one.engines.said.put_nowait(Done())
    with stream.attached():
        async for entry in stream.read():
            known = await one.line.ledger.find(stream.id)
            assert known is not None
            assert json.loads(known["events"][entry.seq]) == entry.to_dict()


async def test_an_answer_that_ended_is_read_elsewhere(fronts: tuple[Front, Front]) -> None:
    one, other = fronts
    stream = one.open()
    one.engines.said.put_nowait(Done())
    whole = await read(stream)
    assert await read(await other.find(stream.id)) == whole
    assert other.streams.n_live == 0


async def test_a_reader_elsewhere_keeps_the_answer_going(fronts: tuple[Front, Front]) -> None:
    one, other = fronts
    stream = one.open()
    one.engines.said.put_nowait(Delta("one"))
    await first(stream, 2)
    assert await one.engines.orders.get() == "pause"
    reading = asyncio.create_task(read(await other.find(stream.id)))
    assert await one.engines.orders.get() == "resume"
    one.engines.said.put_nowait(Done())
    assert text_of(await reading) == "one"


async def test_it_is_stopped_from_elsewhere(fronts: tuple[Front, Front]) -> None:
    one, other = fronts
    stream = one.open()
    one.engines.said.put_nowait(Delta("one"))
    await first(stream, 2)
    found = await other.find(stream.id)
    await found.stop()
    assert (await read(found))[-1]["reason"] == "cancelled"


async def test_a_front_that_was_only_silent_gives_way(fronts: tuple[Front, Front]) -> None:
    """Its readers are sent to where the answer is now; there is one answer, not two."""
    one, other = fronts
    stream = one.open()
    one.engines.said.put_nowait(Delta("one"))
    await first(stream, 2)
    one.line.is_cut = True
    reading = asyncio.create_task(read(await other.find(stream.id)))
    await other.engines.is_asked.wait()
    one.line.is_cut = False
    one.engines.said.put_nowait(Delta(" late"))
    await asyncio.wait([stream.producer])
    assert stream.has_moved
    assert text_of([entry.to_dict() for entry in stream.entries]) == "one"
    back = asyncio.create_task(read(await one.find(stream.id)))
    other.engines.said.put_nowait(Delta(" two"))
    other.engines.said.put_nowait(Done())
    assert text_of(await reading) == "one two"
    assert text_of(await back) == "one two"


async def test_without_the_ledger_answers_come_all_the_same(fronts: tuple[Front, Front]) -> None:
    one, other = fronts
    one.line.is_cut = other.line.is_cut = True
    stream = one.open()
    one.engines.said.put_nowait(Delta("one"))
    one.engines.said.put_nowait(Done())
    assert text_of(await read(stream)) == "one"
    assert await other.streams.find(stream.id, 60, lambda _: None) is None
