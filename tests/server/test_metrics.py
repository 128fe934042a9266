"""/metrics tells of requests, answers, tokens, times, the worker and both processes."""

from __future__ import annotations

import os
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from qwell.core import Failed
from qwell.server.metrics import Metrics, resident_bytes

pytestmark = pytest.mark.anyio


async def read(client: Any) -> dict[str, float]:
    """Samples by name and labels, as they are written."""
    text = (await client.get("/metrics")).text
    assert list(text_string_to_metric_families(text))
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


async def test_an_answer_is_counted_with_its_tokens_and_times(client: Any, question: Any) -> None:
    await client.post("/api/chat", json=question)
    samples = await read(client)
    assert samples['qwell_answers_total{end="stop"}'] == 1
    assert samples['qwell_tokens_total{kind="prompt"}'] == 7
    assert samples['qwell_tokens_total{kind="cached"}'] == 3
    assert samples['qwell_tokens_total{kind="completion"}'] == 2
    assert samples["qwell_first_token_seconds_count"] == 1
    assert samples['qwell_tokens_per_second_bucket{le="50"}'] == 1
    assert samples["qwell_answers_live"] == 0
    key = 'qwell_http_requests_total{method="POST",route="/api/chat",status="200"}'
    assert samples[key] == 1


async def test_what_a_client_makes_up_is_no_label(client: Any) -> None:
    await client.get("/api/streams/made-up-1")
    await client.get("/made/up/2")
    await client.request("BREW", "/health")
    text = (await client.get("/metrics")).text
    assert "made" not in text
    assert "BREW" not in text


async def test_the_worker_and_the_model_are_told(client: Any, worker: Any) -> None:
    worker.status.pid, worker.status.restarts, worker.status.running = os.getpid(), 2, 1
    samples = await read(client)
    assert samples["qwell_worker_ready"] == 1
    assert samples['qwell_worker_phase{phase="ready"}'] == 1
    assert samples["qwell_worker_restarts_total"] == 2
    assert samples["qwell_worker_running"] == 1
    assert samples["qwell_worker_resident_bytes"] > 1e6
    assert samples["qwell_server_open_fds"] > 2
    assert any(name.startswith('qwell_model_info{name="tiny-qwen"') for name in samples)


async def test_metrics_ask_for_the_key(make_app: Any, client_of: Any) -> None:
    client = client_of(make_app(api_key="s3cret"))
    assert (await client.get("/metrics")).status_code == 401
    response = await client.get("/metrics", headers={"Authorization": "Bearer s3cret"})
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_a_failure_is_counted_by_its_fault() -> None:
    metrics = Metrics()
    metrics.answer_ended(Failed(code="worker-crashed"))
    assert 'qwell_answers_total{end="worker-crashed"} 1' in metrics.document()


@pytest.mark.parametrize("pid", [None, 2**31 - 1])
def test_no_process_has_no_memory(pid: int | None) -> None:
    assert resident_bytes(pid) == 0
