"""Idle: the worker leaves memory. Asked: it comes back, and nobody is refused meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from qwell.config import Settings
from qwell.core import Done, Loading, Message, Request
from qwell.server.app import create_app
from qwell.server.on_demand import ASIDE, OnDemand
from qwell.worker.supervisor import Supervisor

pytestmark = pytest.mark.anyio


def request(name: str = "r") -> Request:
    return Request(id=name, messages=(Message("user", "hi"),))


class Recorder:
    """A worker that notes what is done to it, and can take its time to stop."""

    def __init__(self, worker: Any) -> None:
        self.inner = worker
        self.calls: list[str] = []
        self.stopped = asyncio.Event()
        self.may_stop = asyncio.Event()
        self.may_stop.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def start(self) -> None:
        self.calls.append("start")

    async def stop(self, grace_s: float) -> None:
        self.calls.append("stop")
        self.stopped.set()
        await self.may_stop.wait()


async def answer(worker: OnDemand, name: str = "r") -> list[Any]:
    return [event async for event in worker.submit(request(name))]


async def test_an_idle_worker_is_stopped_and_started_for_the_next_request(worker: Any) -> None:
    recorder = Recorder(worker)
    demand = OnDemand(recorder, 0.01)
    await demand.start()
    await asyncio.wait_for(recorder.stopped.wait(), 5)
    await asyncio.sleep(0)
    assert demand.status.phase == "idle"
    assert demand.status.model["name"] == "tiny-qwen"
    assert isinstance((await answer(demand))[-1], Done)
    assert recorder.calls[:3] == ["start", "stop", "start"]
    assert demand.status.phase == "ready"
    await demand.stop(0)


async def test_a_request_that_comes_while_it_unloads_waits_and_is_answered(worker: Any) -> None:
    recorder = Recorder(worker)
    recorder.may_stop.clear()
    demand = OnDemand(recorder, 0.01)
    await demand.start()
    await asyncio.wait_for(recorder.stopped.wait(), 5)
    asking = asyncio.create_task(answer(demand))
    await asyncio.sleep(0)
    recorder.may_stop.set()
    assert isinstance((await asking)[-1], Done)
    await demand.stop(0)


async def test_a_running_answer_keeps_it_loaded(worker: Any) -> None:
    worker.script = (Loading(0.5), worker.PAUSE, Done("stop"))
    recorder = Recorder(worker)
    demand = OnDemand(recorder, 0.01)
    await demand.start()
    asking = asyncio.create_task(answer(demand))
    await worker.paused.wait()
    await asyncio.sleep(0.05)  # longer than the idle time
    assert "stop" not in recorder.calls
    worker.go()
    await asking
    await demand.stop(0)


async def test_the_servers_own_questions_do_not_keep_it_loaded(worker: Any) -> None:
    recorder = Recorder(worker)
    demand = OnDemand(recorder, 0.2)
    await demand.start()
    asked = 0
    async with asyncio.timeout(10):
        while not recorder.stopped.is_set():
            await answer(demand, f"{ASIDE}{asked}")
            asked += 1
            await asyncio.sleep(0.01)  # far shorter than the idle time
    assert asked > 1
    await demand.stop(0)


async def test_a_model_that_takes_long_to_load_is_unloaded_later(worker: Any) -> None:
    recorder = Recorder(worker)
    worker.status.phase = "loading"
    demand = OnDemand(recorder, 0.01)
    await demand.start()
    await asyncio.sleep(0.05)
    assert recorder.calls == ["start"]
    worker.status.phase = "ready"
    await asyncio.wait_for(recorder.stopped.wait(), 5)
    await demand.stop(0)


async def test_an_unloaded_model_counts_as_ready(
    worker: Any, bundle: Any, client_of: Any, question: Any
) -> None:
    recorder = Recorder(worker)
    app = create_app(Settings(idle_unload_min=1), recorder, bundle=bundle)
    demand = app.state.worker
    demand._idle_s = 0.01
    await demand.start()
    await asyncio.wait_for(recorder.stopped.wait(), 5)
    client = client_of(app)
    assert (await client.get("/ready")).json()["status"] == "idle"
    assert (await client.get("/health/deep")).json()["status"] == "idle"
    assert not worker.requests
    assert (await client.post("/api/chat", json=question)).status_code == 200
    await demand.stop(0)


async def test_a_real_worker_goes_and_comes_back_with_loading_events() -> None:
    supervisor = Supervisor(Settings(engine="scripted", ctx_size=512))
    demand = OnDemand(supervisor, 0.05)
    await demand.start()
    assert isinstance((await answer(demand, "first"))[-1], Done)
    first_child = supervisor.status.pid
    while demand.status.phase != "idle":
        await supervisor.changed() if supervisor.status.pid else await asyncio.sleep(0)
    assert supervisor.status.pid is None
    events = await answer(demand, "second")
    assert events[0] == Loading(0.0)
    assert isinstance(events[-1], Done)
    assert supervisor.status.pid not in (None, first_child)
    await demand.stop(1)
