"""The page's own API over HTTP: SSE by bytes, resuming, stopping, long-polling."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from qwell.core import Delta, Done
from qwell.server import chat, sse

pytestmark = pytest.mark.anyio


def events_of(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(frame.data) for frame in sse.Decoder().push(body)]


async def test_an_answer_is_a_stream_of_numbered_events(
    client: httpx.AsyncClient, question: Any
) -> None:
    response = await client.post("/api/chat", json=question)
    events = events_of(response.content)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-cache, no-transform"
    assert response.headers["x-accel-buffering"] == "no"
    assert [event["type"] for event in events] == ["queued", "prefill", "delta", "delta", "done"]
    assert events[0]["request_id"] == response.headers["x-request-id"]
    assert "".join(event.get("text", "") for event in events) == "你好, world"
    assert events[-1]["usage"] == {
        "prompt_tokens": 7,
        "cached_tokens": 3,
        "completion_tokens": 2,
        "dropped_tokens": 0,
    }
    assert response.content.startswith(b'id: 0\ndata: {"seq": 0, "type": "queued"')


async def test_the_request_reaches_the_worker_whole(
    client: httpx.AsyncClient, worker: Any, question: Any
) -> None:
    sampling = {"temperature": 0.5, "seed": 1, "logit_bias": {"5": -1}}
    extra = {"sampling": sampling, "max_tokens": 9, "stop": ["X"], "overflow": "error"}
    await client.post("/api/chat", json=question | extra)
    (request,) = worker.requests
    assert request.messages[0].content == "hi"
    assert request.sampling.temperature == 0.5
    assert request.sampling.logit_bias == {5: -1}
    assert (request.max_tokens, request.stop, request.overflow) == (9, ("X",), "error")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": "x"}], "temprature": 1}, "temprature"),
        ({"messages": [{"role": "user", "content": "x"}], "sampling": {"top_p": 2}}, "top_p"),
        ({"messages": [{"role": "user", "content": "x"}], "max_tokens": 0}, "max_tokens"),
    ],
)
async def test_a_bad_body_is_refused_by_the_name_of_the_field(
    client: httpx.AsyncClient, body: Any, named: str
) -> None:
    response = await client.post("/api/chat", json=body)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "/faults/invalid-request-body"
    assert named in response.json()["detail"]


async def test_a_dropped_reader_resumes_where_it_left(
    make_app: Any, served: Any, worker: Any, question: Any
) -> None:
    worker.script = (Delta("one "), worker.PAUSE, Delta("two"), Done("stop"))
    async with served(make_app()) as url, httpx.AsyncClient(base_url=url) as client:
        decoder, seen = sse.Decoder(), []
        async with client.stream("POST", "/api/chat", json=question) as response:
            async for piece in response.aiter_raw():
                seen += [json.loads(frame.data) for frame in decoder.push(piece)]
                if len(seen) == 2:
                    break
        worker.go()
        rest = await client.get(
            f"/api/streams/{seen[0]['stream']}",
            headers={"Accept": "text/event-stream", "Last-Event-ID": "1"},
        )
    assert [e.get("text") for e in seen + events_of(rest.content)] == [None, "one ", "two", None]
    assert events_of(rest.content)[0]["seq"] == 2


async def test_a_reader_that_never_returns_stops_the_answer(
    make_app: Any, served: Any, worker: Any, question: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "RESUME_GRACE_S", 0.0)
    worker.script = (Delta("one "), worker.PAUSE)
    async with served(make_app()) as url, httpx.AsyncClient(base_url=url) as client:
        async with client.stream("POST", "/api/chat", json=question) as response:
            await anext(response.aiter_raw())
            await worker.paused.wait()
        (cancelled,) = worker.cancelled.values()
        await asyncio.wait_for(cancelled.wait(), 5)


async def test_stopping_ends_the_stream_with_what_was_said(
    make_app: Any, served: Any, worker: Any, question: Any
) -> None:
    worker.script = (Delta("one "), worker.PAUSE)
    async with served(make_app()) as url, httpx.AsyncClient(base_url=url) as client:
        started = (await client.post("/api/streams", json=question)).json()
        await worker.paused.wait()
        path = f"/api/streams/{started['stream']}"
        assert (await client.delete(path)).status_code == 202
        page = (await client.get(path, params={"from": 1})).json()
        while not page["ended"]:
            page = (await client.get(path, params={"from": 1})).json()
        assert (await client.delete(path)).status_code == 202
    assert [event["type"] for event in page["events"]] == ["delta", "done"]
    assert page["events"][-1]["reason"] == "cancelled"


async def test_long_polling_gives_every_event_once(
    client: httpx.AsyncClient, question: Any
) -> None:
    started = await client.post("/api/streams", json=question)
    assert started.status_code == 202
    events: list[dict[str, Any]] = []
    page: dict[str, Any] = {"next": 0, "ended": False}
    while not page["ended"] or page["events"]:
        path = f"/api/streams/{started.json()['stream']}"
        page = (await client.get(path, params={"from": page["next"]})).json()
        events += page["events"]
    assert [event["seq"] for event in events] == list(range(5))


async def test_an_unknown_stream_is_named(client: httpx.AsyncClient) -> None:
    for response in (await client.get("/api/streams/x"), await client.delete("/api/streams/x")):
        assert response.status_code == 404
        assert response.json()["type"] == "/faults/stream-unknown"


async def test_a_failed_model_answers_at_once_with_the_cause(
    client: httpx.AsyncClient, worker: Any, question: Any
) -> None:
    worker.status.phase = "failed"
    *_, last = events_of((await client.post("/api/chat", json=question)).content)
    assert last["type"] == "error"
    assert last["code"] == "weights-truncated"
    assert last["title"] == "Weights truncated"
    assert last["fix"] == "qwell pull"


async def test_silence_is_filled_with_comments(
    make_app: Any, served: Any, worker: Any, question: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qwell.server.event_stream.sse.PING_EVERY_S", 0.01)
    worker.script = (worker.PAUSE, Done("stop"))
    body = b""
    async with (
        served(make_app()) as url,
        httpx.AsyncClient(base_url=url) as client,
        client.stream("POST", "/api/chat", json=question) as response,
    ):
        async for piece in response.aiter_raw():
            body += piece
            if sse.PING in body:
                worker.go()
    assert events_of(body)[-1]["type"] == "done"
