"""Each request has an id of its own, one log line without secrets, and never a bare crash."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio


def lines(caplog: pytest.LogCaptureFixture, message: str) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if record.getMessage() == message]


async def test_a_request_is_logged_with_its_times(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "qwell.server")
    await client.get("/health?key=s3cret", headers={"X-Request-ID": "from-nginx"})
    (line,) = lines(caplog, "response")
    assert (line["method"], line["path"], line["status"]) == ("GET", "/health", 200)
    assert line["client_request_id"] == "from-nginx"
    assert 0 <= line["first_byte_ms"] <= line["duration_ms"]
    assert line["bytes"] > 0
    assert "s3cret" not in caplog.text + str(line)


async def test_the_pulse_of_open_pages_fills_no_log(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "qwell.server")
    assert (await client.head("/health")).status_code == 200
    assert lines(caplog, "response") == []


async def test_prompts_stay_out_of_the_log(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = {"messages": [{"role": "user", "content": "my word is swordfish"}]}
    await client.post("/api/chat", json=secret)
    await client.post("/api/chat", json=secret | {"bad": 1})
    assert "swordfish" not in str([vars(record) for record in caplog.records])
    (answer,) = lines(caplog, "answer")
    assert answer["completion_tokens"] == 2


async def test_ids_are_ours_and_unique(client: httpx.AsyncClient) -> None:
    headers = {"X-Request-ID": "same"}
    ids = {(await client.get("/health", headers=headers)).headers["x-request-id"] for _ in "ab"}
    assert len(ids) == 2
    assert "same" not in ids


async def test_an_insane_id_is_not_logged(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "qwell.server")
    await client.get("/health", headers={"X-Request-ID": "a b" * 100})
    assert "client_request_id" not in lines(caplog, "response")[0]


async def test_a_crash_of_ours_is_a_document_with_the_request_id(
    make_app: Any, client_of: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qwell.server.health.reason_not_ready", lambda _: 1 / 0)
    response = await client_of(make_app()).get("/ready")
    assert response.status_code == 500
    assert response.json()["type"] == "/faults/internal-error"
    assert response.json()["request_id"] == response.headers["x-request-id"]
    assert "division" not in response.text
    assert "ZeroDivisionError" in caplog.text
