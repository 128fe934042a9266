"""Whatever happens to engines, an answer has one end, and the reader one text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import pytest

from qwell.cluster.board import note_of
from qwell.cluster.fleet import MOST_MOVES, EngineLostError, Fleet
from qwell.core import Delta, Done, Event, Failed, Message, Request, is_terminal
from qwell.worker.status import WorkerStatus

pytestmark = pytest.mark.anyio
HELLO = Request("r1", (Message("user", "count"),))
Script = Sequence[Event | None]  # None: the engine is lost


class FakeEngines:
    """Each call plays the next script; the last one again and again."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = list(scripts)
        self.asked: list[Request] = []
        self.told: list[tuple[str, str, str]] = []
        self.read = asyncio.Event()

    async def ask(self, request: Request, key: str) -> AsyncGenerator[tuple[str, Sequence[Event]]]:
        assert key
        self.asked.append(request)
        script = self.scripts[min(len(self.asked), len(self.scripts)) - 1]
        yield f"engine-{len(self.asked)}", ()
        for event in script:
            if event is None:
                raise EngineLostError("gone")
            yield f"engine-{len(self.asked)}", [event]
            await asyncio.sleep(0)

    async def tell(self, engine: str, op: str, request_id: str) -> None:
        self.told.append((engine, op, request_id))

    async def notes(self) -> Sequence[Mapping[str, Any]]:
        self.read.set()
        return [note_of(WorkerStatus(phase="ready", model={"n_slots": 2}))]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qwell.cluster.fleet.BACKOFF_S", 0.0)


async def events_of(engines: FakeEngines, request: Request = HELLO) -> list[Event]:
    events = [event async for event in Fleet(engines).submit(request)]
    assert [is_terminal(event) for event in events].count(True) == 1
    assert is_terminal(events[-1])
    return events


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


async def test_an_answer_comes_through() -> None:
    events = await events_of(FakeEngines([Delta("one"), Done()]))
    assert events == [Delta("one"), Done()]


async def test_a_lost_engine_is_replaced_in_mid_sentence() -> None:
    engines = FakeEngines([Delta("one"), None], [Delta(" two"), Done()])
    events = await events_of(engines)
    assert text_of(events) == "one two"
    assert engines.asked[1].messages[-1] == Message("assistant", "one")


async def test_so_is_one_whose_worker_died() -> None:
    crash = Failed("worker-crashed", cause="signal 9")
    events = await events_of(FakeEngines([Delta("one"), crash], [Delta(" two"), Done()]))
    assert (text_of(events), isinstance(events[-1], Done)) == ("one two", True)


async def test_a_request_that_kills_engines_ends() -> None:
    engines = FakeEngines([Delta("x"), None])
    end = (await events_of(engines))[-1]
    assert isinstance(end, Failed)
    assert end.code == "worker-crashed"
    assert len(engines.asked) == MOST_MOVES + 1


async def test_json_is_gone_on_with() -> None:
    engines = FakeEngines([Delta('{"a"'), None], [Delta(": 1}"), Done()])
    asked = Request("r1", HELLO.messages, reply_schema={"type": "object"})
    assert text_of(await events_of(engines, asked)) == '{"a": 1}'


async def test_what_cannot_be_gone_on_with_ends_at_once_and_says_what_to_do() -> None:
    call = Delta("", tool_calls=({"id": "c", "name": "f", "arguments": ""},))
    engines = FakeEngines([call, None], [Done()])
    asked = Request("r1", HELLO.messages, tools=({"function": {"name": "f"}},))
    end = (await events_of(engines, asked))[-1]
    assert isinstance(end, Failed)
    assert "send the message again" in end.fix
    assert len(engines.asked) == 1


async def test_other_failures_are_the_readers_to_see() -> None:
    refused = Failed("context-overflow", cause="too long")
    assert await events_of(FakeEngines([refused])) == [refused]


async def test_orders_reach_the_engine_that_answers() -> None:
    engines = FakeEngines([Delta("one"), Delta("two"), Done("cancelled")])
    fleet = Fleet(engines)
    async for event in fleet.submit(HELLO):
        if event == Delta("one"):
            await fleet.pause("r1")
            await fleet.cancel("r1")
    await fleet.resume("r1")  # it has ended
    assert engines.told[:2] == [("engine-1", "pause", "r1"), ("engine-1", "cancel", "r1")]
    assert ("engine-1", "resume", "r1") not in engines.told


async def test_who_is_cancelled_is_not_asked_again() -> None:
    engines = FakeEngines([Delta("one"), None], [Done()])
    fleet, events = Fleet(engines), []
    async for event in fleet.submit(HELLO):
        events.append(event)
        if event == Delta("one"):
            await fleet.cancel("r1")
    assert events == [Delta("one"), Done("cancelled")]


async def test_the_status_is_that_of_all_engines() -> None:
    engines = FakeEngines([Done()])
    fleet = Fleet(engines)
    await fleet.start()
    await engines.read.wait()
    await fleet.stop(0)
    assert fleet.status.model["n_slots"] == 2
