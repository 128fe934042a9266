"""Stopping lets answers end, and says so to whoever comes meanwhile."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import httpx
import pytest

from qwell.core import Delta, Done
from qwell.server.listen import make_server
from qwell.server.port import bind

pytestmark = pytest.mark.anyio


async def test_a_running_answer_may_end_after_the_signal(
    make_app: Any, served: Any, worker: Any, question: Any
) -> None:
    worker.script = (Delta("one "), worker.PAUSE, Delta("two"), Done("stop"))
    async with httpx.AsyncClient() as client:
        async with served(make_app(), drain_s=10) as url:
            asking = asyncio.create_task(client.post(f"{url}/api/chat", json=question))
            await worker.paused.wait()
            asyncio.get_running_loop().call_later(0.2, worker.go)
        response = await asking
    assert '"reason": "stop"' in response.text
    assert worker.stopped


async def test_an_answer_that_takes_too_long_gets_its_terminal_event(
    make_app: Any, served: Any, worker: Any, question: Any
) -> None:
    worker.script = (Delta("one "), worker.PAUSE)
    async with httpx.AsyncClient() as client:
        async with served(make_app()) as url:
            asking = asyncio.create_task(client.post(f"{url}/api/chat", json=question))
            await worker.paused.wait()
        response = await asking
    assert '"reason": "cancelled"' in response.text


async def test_a_second_signal_does_not_wait_for_answers(
    make_app: Any, worker: Any, question: Any
) -> None:
    worker.script = (Delta("one "), worker.PAUSE)
    listener = bind("127.0.0.1", 0)
    server = make_server(make_app(), drain_s=1000)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with httpx.AsyncClient() as client:
        asking = asyncio.create_task(client.post(f"{url}/api/chat", json=question))
        await worker.paused.wait()
        server.handle_exit(signal.SIGINT, None)
        server.handle_exit(signal.SIGINT, None)
        server._captured_signals.clear()  # they were none of the test process
        assert '"reason": "cancelled"' in (await asking).text
    await running


async def test_while_it_drains_new_requests_are_told_so(
    make_app: Any, worker: Any, question: Any
) -> None:
    worker.script = (Delta("one "), worker.PAUSE, Delta("two"), Done("stop"))
    server, running, url = await _serving(make_app(), drain_s=30)
    async with httpx.AsyncClient() as client:
        asking = asyncio.create_task(client.post(f"{url}/api/chat", json=question))
        await worker.paused.wait()
        server.should_exit = True
        while (await client.get(f"{url}/ready")).status_code == 200:
            continue
        refused = await client.post(f"{url}/api/chat", json=question)
        alive = await client.get(f"{url}/health")
        worker.go()
        answered = await asking
    await running
    assert refused.status_code == 503
    assert refused.json()["type"] == "/faults/graceful-shutdown"
    assert refused.headers["retry-after"] == "30"
    assert alive.status_code == 200
    assert '"reason": "stop"' in answered.text
    assert len(worker.requests) == 1


async def _serving(app: Any, drain_s: float) -> tuple[Any, asyncio.Task[None], str]:
    listener = bind("127.0.0.1", 0)
    server = make_server(app, drain_s=drain_s)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    return server, running, f"http://127.0.0.1:{listener.getsockname()[1]}"
