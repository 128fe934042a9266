"""/health/deep: a token really comes out, at most one generation in some seconds."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from qwell.core import Delta, Done, Failed
from qwell.errors import QwellError

pytestmark = pytest.mark.anyio


async def test_a_generation_proves_health_and_is_kept(
    client: httpx.AsyncClient, worker: Any
) -> None:
    responses = await asyncio.gather(*(client.get("/health/deep") for _ in range(5)))
    assert [response.status_code for response in responses] == [200] * 5
    assert responses[0].json()["how"] == "generated"
    (request,) = worker.requests
    assert request.max_tokens == 1


async def test_a_worker_that_fails_is_unhealthy_with_the_cause(
    client: httpx.AsyncClient, worker: Any
) -> None:
    worker.script = (Failed(code="weights-corrupt", cause="NaN", fix="qwell pull"),)
    response = await client.get("/health/deep")
    assert response.status_code == 503
    assert response.json()["type"] == "/faults/weights-corrupt"
    assert response.json()["fix"] == "qwell pull"


async def test_a_worker_that_says_nothing_is_unhealthy(
    make_app: Any, client_of: Any, worker: Any
) -> None:
    worker.script = (worker.PAUSE,)
    app = make_app()
    app.state.canary._deadline_s = 0.05
    response = await client_of(app).get("/health/deep")
    assert response.status_code == 503
    assert response.json()["type"] == "/faults/worker-unresponsive"


async def test_a_busy_worker_is_healthy_by_its_answers(
    client: httpx.AsyncClient, worker: Any, question: Any
) -> None:
    worker.script = (Delta("one"), worker.PAUSE, Done("stop"))
    asking = asyncio.create_task(client.post("/api/chat", json=question))
    await worker.paused.wait()
    response = await client.get("/health/deep")
    worker.go()
    await asking
    assert response.json()["how"] == "busy"
    assert len(worker.requests) == 1


async def test_what_is_not_ready_is_not_asked(client: httpx.AsyncClient, worker: Any) -> None:
    worker.status.phase = "failed"
    worker.status.error = QwellError("disk-full", found="0 bytes", expected="room", fix="df -h")
    response = await client.get("/health/deep")
    assert (response.status_code, response.json()["type"]) == (503, "/faults/disk-full")
    assert not worker.requests
