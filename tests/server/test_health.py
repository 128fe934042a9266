"""Alive is not ready, and not ready says why."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from qwell.errors import QwellError
from qwell.server.health import reason_not_ready

pytestmark = pytest.mark.anyio


async def test_health_answers_whatever_the_model_does(
    client: httpx.AsyncClient, worker: Any
) -> None:
    worker.status.phase = "failed"
    response = await client.get("/health")
    assert response.status_code == 200
    assert response.json()["status"] == "ok"


async def test_ready_names_the_model(client: httpx.AsyncClient) -> None:
    response = await client.get("/ready")
    assert response.status_code == 200
    assert response.json()["model"]["name"] == "tiny-qwen"


async def test_not_ready_is_a_problem_document_with_cause_and_fix(
    client: httpx.AsyncClient, worker: Any
) -> None:
    worker.status.phase = "failed"
    worker.status.model = {}
    worker.status.error = QwellError(
        "model-path-missing", found="/models is empty", expected="a model", fix="qwell pull"
    )
    response = await client.get("/ready")
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["type"] == "/faults/model-path-missing"
    assert body["title"] == "Model path missing"
    assert body["detail"] == "/models is empty"
    assert (body["expected"], body["fix"]) == ("a model", "qwell pull")
    assert body["request_id"] == response.headers["x-request-id"]


async def test_loading_is_503_with_the_progress(client: httpx.AsyncClient, worker: Any) -> None:
    worker.status.phase, worker.status.progress = "loading", 0.4
    response = await client.get("/ready")
    assert response.status_code == 503
    assert "40%" in response.json()["detail"]
    assert response.headers["retry-after"]


@pytest.mark.parametrize(
    ("phase", "fault"),
    [
        ("starting", "model-still-loading"),
        ("restarting", "worker-crashed"),
        ("failed", "worker-crashed"),
        ("stopped", "backend-not-listening"),
    ],
)
def test_every_phase_without_a_model_has_a_reason(worker: Any, phase: str, fault: str) -> None:
    worker.status.phase, worker.status.last_words = phase, "first\nsegfault at 0\n"
    reason = reason_not_ready(worker.status)
    assert reason is not None
    assert reason.fault == fault
    assert ("segfault" in reason.found) == (fault == "worker-crashed")


async def test_version_says_what_is_really_served(client: httpx.AsyncClient, worker: Any) -> None:
    body = (await client.get("/version")).json()
    assert body["model"] == worker.status.model
    assert body["phase"] == "ready"
    assert body["version"]
