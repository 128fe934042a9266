"""The server over a real worker process: the official client, crashes, loading, stopping."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest

from qwell.server import sse

pytestmark = pytest.mark.anyio
QUESTION: Any = [{"role": "user", "content": "你好, world"}]


def client_of(url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)


async def chat(url: str, text: str) -> list[dict[str, Any]]:
    body = {"messages": [{"role": "user", "content": text}]}
    async with httpx.AsyncClient(timeout=60) as client:
        response = await client.post(f"{url}/api/chat", json=body)
    return [json.loads(frame.data) for frame in sse.Decoder().push(response.content)]


async def test_the_official_client_in_both_modes(running: Any) -> None:
    async with running() as url, client_of(url) as client:
        model = (await client.models.list()).data[0].id
        whole = await client.chat.completions.create(model=model, messages=QUESTION)
        stream = await client.chat.completions.create(
            model=model, messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    assert whole.choices[0].message.content == "你好, world"
    assert whole.choices[0].finish_reason == "stop"
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "你好, world"
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert chunks[-1].usage.prompt_tokens_details.cached_tokens > 0


async def test_an_overlong_prompt_is_refused_in_both_modes(running: Any) -> None:
    long: Any = [{"role": "user", "content": "x" * 2000}]
    async with running() as url, client_of(url) as client:
        for stream in (False, True):
            with pytest.raises(openai.BadRequestError) as refused:
                await client.chat.completions.create(model="qwell", messages=long, stream=stream)
            assert refused.value.code == "context_length_exceeded"


async def test_a_length_limit_is_told(running: Any) -> None:
    async with running() as url, client_of(url) as client:
        answer = await client.chat.completions.create(
            model="qwell", messages=[{"role": "user", "content": "abcdef"}], max_tokens=3
        )
    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].message.content == "abc"


async def test_a_crash_ends_the_answer_and_the_next_one_works(running: Any) -> None:
    async with running(crash_after=2, when="bad") as url:
        *_, last = await chat(url, "bad question")
        assert last["type"] == "error"
        assert last["code"] == "worker-crashed"
        assert last["fix"]
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{url}/health")).status_code == 200
        assert "".join(e.get("text", "") for e in await chat(url, "good")) == "good"


async def test_a_model_that_cannot_load_is_told_everywhere(running: Any) -> None:
    async with running(load_fault="weights-corrupt") as url:
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/health")).status_code == 200
            ready = await client.get("/ready")
            page = await client.get("/")
            answer = await client.post(
                "/v1/chat/completions", json={"model": "any", "messages": QUESTION}
            )
        *_, last = await chat(url, "hi")
    assert ready.status_code == answer.status_code == 503
    assert ready.json()["type"] == "/faults/weights-corrupt"
    assert "weights-corrupt" in page.text
    assert last["code"] == answer.json()["error"]["code"] == "weights-corrupt"


async def test_a_question_asked_while_loading_is_answered_after_it(running: Any) -> None:
    async with running(await_model=False, load_delay_s=0.3) as url:
        events = await chat(url, "patience")
    types = [event["type"] for event in events]
    assert types[0] == "queued"
    assert "loading" in types
    assert types[-1] == "done"
    assert "".join(event.get("text", "") for event in events) == "patience"


async def test_stop_while_the_model_writes_keeps_what_was_written(running: Any) -> None:
    body = {"messages": [{"role": "user", "content": "sing"}]}
    page: dict[str, Any] = {"next": 0, "events": []}
    async with (
        running(answer="la " * 5000, token_delay_s=0.01) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        started = (await client.post("/api/streams", json=body)).json()
        path = f"/api/streams/{started['stream']}"
        while not any(event["type"] == "delta" for event in page["events"]):
            page = (await client.get(path, params={"from": page["next"]})).json()
        await client.delete(path)
        while not page["ended"]:
            page = (await client.get(path, params={"from": page["next"]})).json()
    assert page["events"][-1]["type"] == "done"
    assert page["events"][-1]["reason"] == "cancelled"
    assert page["events"][-1]["usage"]["completion_tokens"] > 0


async def test_many_at_once_each_get_their_own_answer(running: Any) -> None:
    async with running() as url:
        answers = await asyncio.gather(*(chat(url, f"number {n}") for n in range(12)))
    for n, events in enumerate(answers):
        assert "".join(event.get("text", "") for event in events) == f"number {n}"
        assert [event["seq"] for event in events] == list(range(len(events)))
