"""With the real model: an answer that is not wanted any more costs nothing any more.

What counts is processor time after the cancellation, which other programs do not change.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest
from tests.worker.conftest import Start, phase

from qwell.backends.threads import default_threads
from qwell.core import Delta, Done, Event, Message, Prefill, Queued, Request
from qwell.worker.supervisor import Patience, Supervisor

pytestmark = [pytest.mark.anyio, pytest.mark.weights]
LONG = " ".join(f"word{i}" for i in range(700))  # seconds of reading
IDLE_WITHIN_S = 0.3


def cpu_s(supervisor: Supervisor) -> float:
    """Processor time that all threads of the child have taken."""
    times = Path(f"/proc/{supervisor.status.pid}/task").glob("*/schedstat")
    return sum(int(time.read_text().split()[0]) for time in times) / 1e9


async def cost_of_the_end(supervisor: Supervisor) -> float:
    """Processor time of the next second."""
    before = cpu_s(supervisor)
    await asyncio.sleep(1)
    return cpu_s(supervisor) - before


def ask(supervisor: Supervisor, name: str, text: str) -> AsyncGenerator[Event]:
    return supervisor.submit(Request(name, (Message("user", text),), max_tokens=2000))


async def until(events: AsyncGenerator[Event], kind: type[Event]) -> None:
    while not isinstance(await anext(events), kind):
        pass


def patiently(real_gguf: Path) -> dict[str, object]:
    return {
        "engine": "native",
        "model": str(real_gguf),
        "parallel": 1,
        "ctx_size": 8192,
        "patience": Patience(),  # on a busy machine, one step may take seconds
    }


def bound_s() -> float:
    return IDLE_WITHIN_S * default_threads().count


async def test_stopped_while_the_prompt_is_read(supervised: Start, real_gguf: Path) -> None:
    async with supervised(**patiently(real_gguf)) as supervisor:
        await phase(supervisor, "ready")
        events = ask(supervisor, "a", LONG)
        reading = asyncio.create_task(anext(events))
        await asyncio.sleep(0.2)  # into the middle of the first chunk
        await supervisor.cancel("a")
        cost, first = await asyncio.gather(cost_of_the_end(supervisor), reading)
        assert cost < bound_s()
        rest = [first] + [event async for event in events]
        assert isinstance(rest[-1], Done)
        assert rest[-1].reason == "cancelled"


async def test_stopped_while_the_answer_is_written(supervised: Start, real_gguf: Path) -> None:
    async with supervised(**patiently(real_gguf)) as supervisor:
        events = ask(supervisor, "a", "Count from 1 to 500.")
        await until(events, Delta)
        await supervisor.cancel("a")
        assert await cost_of_the_end(supervisor) < bound_s()
        *_, end = [event async for event in events]
        assert isinstance(end, Done)
        assert end.reason == "cancelled"
        assert end.usage.completion_tokens > 0


async def test_a_reader_who_leaves(supervised: Start, real_gguf: Path) -> None:
    async with supervised(**patiently(real_gguf)) as supervisor:
        events = ask(supervisor, "a", LONG)
        await until(events, Prefill)
        await events.aclose()
        assert await cost_of_the_end(supervisor) < bound_s()


async def test_a_reader_who_loses_patience(supervised: Start, real_gguf: Path) -> None:
    async with supervised(**patiently(real_gguf)) as supervisor:
        await phase(supervisor, "ready")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3), aclosing(ask(supervisor, "a", LONG)) as events:
                await until(events, Delta)
        assert supervisor.in_flight == 0
        assert await cost_of_the_end(supervisor) < bound_s()


async def test_stopped_in_the_queue(supervised: Start, real_gguf: Path) -> None:
    async with supervised(**patiently(real_gguf)) as supervisor:
        running = ask(supervisor, "running", "Count from 1 to 500.")
        await until(running, Delta)
        waiting = ask(supervisor, "waiting", LONG)
        await until(waiting, Queued)
        await supervisor.cancel("waiting")
        *_, end = [event async for event in waiting]
        assert isinstance(end, Done)
        assert end.reason == "cancelled"
        await running.aclose()
        assert await cost_of_the_end(supervisor) < bound_s()
