"""/v1 as the official client sees it, and what it refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import openai
import pytest

from qwell.core import Delta, Done, Failed, Queued, Usage
from qwell.server.openai_completion import Completion

pytestmark = pytest.mark.anyio
QUESTION: Any = [{"role": "user", "content": "hi"}]


@pytest.fixture
def connected(make_app: Any, served: Any) -> Any:
    """The official client over a real port."""

    @asynccontextmanager
    async def connect(**settings: Any) -> AsyncIterator[openai.AsyncOpenAI]:
        async with (
            served(make_app(**settings)) as url,
            openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client,
        ):
            yield client

    return connect


async def test_a_whole_answer(connected: Any) -> None:
    async with connected() as client:
        answer = await client.chat.completions.create(model="tiny-qwen", messages=QUESTION)
    assert answer.choices[0].message.content == "你好, world"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "tiny-qwen"
    assert answer.usage.total_tokens == 9
    assert answer.usage.prompt_tokens_details.cached_tokens == 3


async def test_a_streamed_answer_with_usage(connected: Any) -> None:
    async with connected() as client:
        stream = await client.chat.completions.create(
            model="tiny-qwen",
            messages=QUESTION,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    *parts, usage = chunks
    assert "".join(part.choices[0].delta.content or "" for part in parts) == "你好, world"
    assert parts[0].choices[0].delta.role == "assistant"
    assert [part.choices[0].finish_reason for part in parts] == [None, None, None, "stop"]
    assert usage.choices == []
    assert usage.usage.completion_tokens == 2
    assert len({chunk.id for chunk in chunks}) == 1


async def test_the_stream_ends_with_the_marker(client: httpx.AsyncClient) -> None:
    body = {"model": "tiny-qwen", "messages": QUESTION, "stream": True}
    response = await client.post("/v1/chat/completions", json=body)
    assert response.content.endswith(b"data: [DONE]\n\n")
    assert response.headers["x-accel-buffering"] == "no"


async def test_everything_supported_reaches_the_worker(connected: Any, worker: Any) -> None:
    async with connected() as client:
        await client.chat.completions.create(
            model="tiny-qwen",
            messages=[
                {"role": "developer", "content": "be brief"},
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}],
                },
                {"role": "assistant", "content": None},
                {"role": "user", "content": "again", "name": "zoe"},
            ],
            temperature=0,
            top_p=0.9,
            seed=-1,
            stop="END",
            max_completion_tokens=5,
            presence_penalty=0.5,
            logit_bias={"7": 1},
            logprobs=True,
            top_logprobs=2,
            user="u",
            extra_body={"top_k": 3, "repetition_penalty": 1.2},
        )
    (request,) = worker.requests
    assert [(m.role, m.content) for m in request.messages] == [
        ("system", "be brief"),
        ("user", "hi"),
        ("assistant", ""),
        ("user", "again"),
    ]
    assert request.sampling.temperature == 0
    assert request.sampling.top_k == 3
    assert request.sampling.seed == 2**63 - 1
    assert request.sampling.logit_bias == {7: 1}
    assert (request.stop, request.max_tokens, request.top_logprobs) == (("END",), 5, 2)
    assert request.overflow == "error"


async def test_a_list_of_models_names_what_is_served(connected: Any, worker: Any) -> None:
    async with connected() as client:
        assert [model.id async for model in client.models.list()] == ["tiny-qwen"]
        assert (await client.models.retrieve("tiny-qwen")).id == "tiny-qwen"
        worker.status.model = {}
        assert [model.id async for model in client.models.list()] == []


async def test_an_unknown_model_is_404_and_names_the_right_one(connected: Any) -> None:
    async with connected() as client:
        with pytest.raises(openai.NotFoundError) as refused:
            await client.chat.completions.create(model="gpt-5", messages=QUESTION)
        assert refused.value.code == "model_not_found"
        assert "tiny-qwen" in refused.value.message
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("gpt-5")


@pytest.mark.parametrize("name", ["tiny-qwen", "Tiny-Qwen", "qwell"])
async def test_aliases_of_the_served_model(connected: Any, name: str) -> None:
    async with connected() as client:
        answer = await client.chat.completions.create(model=name, messages=QUESTION)
    assert answer.model == "tiny-qwen"


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"n": 2}, "n"),
        ({"temperature": 3}, "temperature"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"extra_body": {"reasoning_effort": "high"}}, "reasoning_effort"),
    ],
)
async def test_what_would_change_the_answer_is_refused_not_ignored(
    connected: Any, extra: Any, named: str
) -> None:
    async with connected() as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(model="tiny-qwen", messages=QUESTION, **extra)
    assert refused.value.type == "invalid_request_error"
    assert refused.value.param is not None
    assert refused.value.param.startswith(named)


async def test_pictures_are_refused(connected: Any) -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}
    async with connected() as client:
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(
                model="tiny-qwen", messages=[{"role": "user", "content": [picture]}]
            )


@pytest.mark.parametrize("stream", [False, True])
async def test_an_overlong_prompt_is_400_in_both_modes(
    connected: Any, worker: Any, stream: bool
) -> None:
    worker.script = (Failed("context-overflow", "", "5000 tokens, 4096 fit", "shorten it"),)
    async with connected() as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(
                model="tiny-qwen", messages=QUESTION, stream=stream
            )
    assert refused.value.code == "context_length_exceeded"
    assert refused.value.type == "exceed_context_size_error"
    assert "5000 tokens" in refused.value.message


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failed_model_is_503_with_the_fix(
    connected: Any, worker: Any, stream: bool
) -> None:
    worker.status.phase = "failed"
    async with connected() as client:
        with pytest.raises(openai.InternalServerError) as refused:
            await client.chat.completions.create(
                model="tiny-qwen", messages=QUESTION, stream=stream
            )
    assert refused.value.status_code == 503
    assert refused.value.code == "weights-truncated"
    assert "qwell pull" in refused.value.message


async def test_an_error_after_the_first_token_becomes_an_event(connected: Any, worker: Any) -> None:
    worker.script = (Delta("half"), Failed("worker-crashed", "", "signal 11", "try again"))
    async with connected() as client:
        stream = await client.chat.completions.create(
            model="tiny-qwen", messages=QUESTION, stream=True
        )
        assert (await anext(stream)).choices[0].delta.role == "assistant"
        assert (await anext(stream)).choices[0].delta.content == "half"
        with pytest.raises(openai.APIError, match="signal 11"):
            await anext(stream)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_ends_its_answer(
    make_app: Any, served: Any, worker: Any, stream: bool
) -> None:
    worker.script = (Queued(), Delta("a"), worker.PAUSE) if stream else (worker.PAUSE,)
    body = {"model": "tiny-qwen", "messages": QUESTION, "stream": stream}
    async with served(make_app()) as url, httpx.AsyncClient(base_url=url) as client:
        asking = asyncio.create_task(_ask(client, body))
        await worker.paused.wait()
        asking.cancel()
        (cancelled,) = worker.cancelled.values()
        await asyncio.wait_for(cancelled.wait(), 5)


async def _ask(client: httpx.AsyncClient, body: Any) -> None:
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        async for _ in response.aiter_raw():
            continue


@pytest.mark.parametrize(
    ("reason", "finish"), [("stop", "stop"), ("length", "length"), ("repetition", "length")]
)
def test_reasons_become_finish_reasons(reason: Any, finish: str) -> None:
    completion = Completion("r", "m")
    done = Done(reason, Usage(1, 0, 1))
    whole = completion.whole([Delta("a"), Delta("b")], done)
    assert whole["choices"][0]["finish_reason"] == finish
    assert whole["choices"][0]["message"]["content"] == "ab"
    (closing,) = completion.chunks(done)
    assert json.loads(closing)["choices"][0]["finish_reason"] == finish


def test_logprobs_are_passed_on_when_asked_for() -> None:
    token = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}
    delta = Delta("a", (token,))
    asked = Completion("r", "m", logprobs=True)
    (chunk,) = asked.chunks(delta)
    assert json.loads(chunk)["choices"][0]["logprobs"]["content"] == [token]
    assert asked.whole([delta], Done())["choices"][0]["logprobs"]["content"] == [token]
    assert Completion("r", "m").whole([delta], Done())["choices"][0]["logprobs"] is None


async def test_an_unreadable_body_has_openais_error_shape(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/chat/completions", content=b"{")
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


async def test_an_unknown_route_has_openais_error_shape(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/nothing", headers={"Accept": "text/html"})
    assert response.status_code == 404
    assert "/docs" in response.json()["error"]["message"]
