"""/v1 as the official client sees it, and what it refuses."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest

from qwell.core import Delta, Done, Event, Failed, Notice, Prefill, Queued, Usage
from qwell.server import sse
from qwell.server.answer import Answer
from qwell.server.openai_completion import Completion

pytestmark = pytest.mark.anyio
QUESTION: Any = [{"role": "user", "content": "hi"}]
TOOL: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": {}, "strict": True},
}
CALL = {"id": "call_1", "name": "weather", "arguments": '{"city": "Bonn"}'}


async def test_a_whole_answer(openai_client: Any) -> None:
    async with openai_client() as client:
        answer = await client.chat.completions.create(model="tiny-qwen", messages=QUESTION)
    assert answer.choices[0].message.content == "你好, world"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "tiny-qwen"
    assert answer.usage.total_tokens == 9
    assert answer.usage.prompt_tokens_details.cached_tokens == 3


async def test_a_streamed_answer_with_usage(openai_client: Any) -> None:
    async with openai_client() as client:
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


async def test_everything_supported_reaches_the_worker(openai_client: Any, worker: Any) -> None:
    async with openai_client() as client:
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


async def test_a_list_of_models_names_what_is_served(openai_client: Any, worker: Any) -> None:
    async with openai_client() as client:
        assert [model.id async for model in client.models.list()] == ["tiny-qwen"]
        assert (await client.models.retrieve("tiny-qwen")).id == "tiny-qwen"
        worker.status.model = {}
        assert [model.id async for model in client.models.list()] == []


async def test_an_unknown_model_is_404_and_names_the_right_one(openai_client: Any) -> None:
    async with openai_client() as client:
        with pytest.raises(openai.NotFoundError) as refused:
            await client.chat.completions.create(model="gpt-5", messages=QUESTION)
        assert refused.value.code == "model_not_found"
        assert "tiny-qwen" in refused.value.message
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("gpt-5")


@pytest.mark.parametrize("name", ["tiny-qwen", "Tiny-Qwen", "qwell"])
async def test_aliases_of_the_served_model(openai_client: Any, name: str) -> None:
    async with openai_client() as client:
        answer = await client.chat.completions.create(model=name, messages=QUESTION)
    assert answer.model == "tiny-qwen"


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"n": 9}, "n"),
        ({"temperature": 3}, "temperature"),
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools"),
        ({"tools": [TOOL, TOOL]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}},
            "tool_choice",
        ),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"extra_body": {"reasoning_effort": "high"}}, "reasoning_effort"),
    ],
)
async def test_what_would_change_the_answer_is_refused_not_ignored(
    openai_client: Any, extra: Any, named: str
) -> None:
    async with openai_client() as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(model="tiny-qwen", messages=QUESTION, **extra)
    assert refused.value.type == "invalid_request_error"
    assert refused.value.param is not None
    assert refused.value.param.startswith(named)


async def test_several_choices_begin_when_the_prompt_has_been_read(
    openai_client: Any, worker: Any
) -> None:
    worker.script = (Prefill(7, 7, 3), worker.PAUSE, *worker.script)
    async with openai_client() as client:
        asking = asyncio.create_task(
            client.chat.completions.create(model="qwell", messages=QUESTION, n=3, seed=5)
        )
        await worker.paused.wait()
        assert len(worker.requests) == 1
        worker.go()
        answer = await asking
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert {choice.message.content for choice in answer.choices} == {"你好, world"}
    assert [request.sampling.seed for request in worker.requests] == [5, 6, 7]
    assert len({request.id for request in worker.requests}) == 3
    assert answer.usage.completion_tokens == 6
    assert answer.usage.prompt_tokens == 7


async def test_several_choices_in_one_stream(openai_client: Any) -> None:
    async with openai_client() as client:
        stream = await client.chat.completions.create(
            model="qwell", messages=QUESTION, n=2, stream=True
        )
        texts: dict[int, str] = {}
        ends = []
        async for chunk in stream:
            for choice in chunk.choices:
                texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
                ends += [choice.index] if choice.finish_reason else []
    assert texts == {0: "你好, world", 1: "你好, world"}
    assert sorted(ends) == [0, 1]


async def test_a_choice_that_finds_no_place_fails_the_answer(openai_client: Any) -> None:
    async with openai_client(max_queue=1) as client:
        with pytest.raises(openai.InternalServerError) as refused:
            await client.chat.completions.create(model="qwell", messages=QUESTION, n=8)
    assert refused.value.code == "request-queueing"


async def test_a_call_is_passed_on_whole_and_in_pieces(openai_client: Any, worker: Any) -> None:
    worker.script = (Delta("Let me see."), Delta("", tool_calls=(CALL,)), Done("tool_calls"))
    async with openai_client() as client:
        whole = await client.chat.completions.create(model="qwell", messages=QUESTION, tools=[TOOL])
        stream = client.chat.completions.stream(model="qwell", messages=QUESTION, tools=[TOOL])
        async with stream as events:
            streamed = await events.get_final_completion()
    for answer in (whole, streamed):
        (choice,) = answer.choices
        (call,) = choice.message.tool_calls
        assert (call.id, call.function.name) == ("call_1", "weather")
        assert json.loads(call.function.arguments) == {"city": "Bonn"}
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content == "Let me see."


async def test_arguments_are_streamed_as_they_are_written(openai_client: Any, worker: Any) -> None:
    """First id, type, name and no arguments, then pieces; a second call has the next index."""
    pieces: Any = ({"id": "call_1", "name": "weather", "arguments": ""}, *_arguments('{"city": "'))
    more: Any = (*_arguments('Bonn"}'), {"id": "call_2", "name": "time", "arguments": "{}"})
    worker.script = (
        *(Delta("", tool_calls=(piece,)) for piece in pieces),
        Delta("", tool_calls=more),
        Done("tool_calls"),
    )
    async with openai_client() as client:
        whole = await client.chat.completions.create(model="qwell", messages=QUESTION, tools=[TOOL])
        stream = await client.chat.completions.create(
            model="qwell", messages=QUESTION, tools=[TOOL], stream=True
        )
        deltas = [
            call
            async for chunk in stream
            for choice in chunk.choices
            for call in choice.delta.tool_calls or ()
        ]
    first, *_ = deltas
    assert (first.index, first.id, first.type) == (0, "call_1", "function")
    assert (first.function.name, first.function.arguments) == ("weather", "")
    joined = ["", ""]
    for delta in deltas:
        joined[delta.index] += delta.function.arguments
    assert sum(delta.index == 0 for delta in deltas) > 5
    calls = whole.choices[0].message.tool_calls
    assert joined == [call.function.arguments for call in calls] == ['{"city": "Bonn"}', "{}"]


def _arguments(text: str) -> list[dict[str, str]]:
    return [{"arguments": character} for character in text]


async def test_tools_and_their_results_reach_the_worker(openai_client: Any, worker: Any) -> None:
    function = {"name": "weather", "arguments": '{"city": "Bonn"}'}
    messages: Any = [
        *QUESTION,
        {
            "role": "assistant",
            "tool_calls": [{"id": "c", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "rain"},
    ]
    async with openai_client() as client:
        await client.chat.completions.create(
            model="qwell",
            messages=messages,
            tools=[TOOL],
            tool_choice={"type": "function", "function": {"name": "weather"}},
        )
        await client.chat.completions.create(
            model="qwell", messages=messages, tools=[TOOL], tool_choice="none"
        )
    forced, without = worker.requests
    assert forced.messages[1].tool_calls == ({"type": "function", "function": function},)
    assert forced.messages[2].role == "tool"
    assert [tool["function"]["name"] for tool in forced.tools] == ["weather"]
    assert (forced.must_call, forced.one_call) == (True, True)
    assert without.tools == ()


@pytest.mark.parametrize(
    ("wanted", "schema"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, {"type": "object"}),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "array"}}},
            {"type": "array"},
        ),
    ],
)
async def test_formats_become_schemas(
    openai_client: Any, worker: Any, wanted: Any, schema: Any
) -> None:
    async with openai_client() as client:
        await client.chat.completions.create(
            model="qwell", messages=QUESTION, response_format=wanted
        )
    assert worker.requests[0].reply_schema == schema


async def test_a_schema_without_end_is_refused(client: httpx.AsyncClient) -> None:
    schema: dict[str, Any] = {}
    for _ in range(200):
        schema = {"properties": {"a": schema}}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    body = {"model": "qwell", "messages": QUESTION, "response_format": wanted}
    response = await client.post("/v1/chat/completions", json=body)
    assert response.status_code == 400
    assert "levels deep" in response.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_trimmed_prompt_is_told_with_what_was_dropped(
    client: httpx.AsyncClient, worker: Any, stream: bool
) -> None:
    notice = Notice("context-overflow", {"dropped_tokens": 70})
    worker.script = (notice, Delta("a"), Done(usage=Usage(30, 0, 1, 70)))
    body = {"model": "qwell", "messages": QUESTION, "overflow": "trim", "stream": stream}
    if stream:
        body["stream_options"] = {"include_usage": True}
    response = await client.post("/v1/chat/completions", json=body)
    told = {"code": "context-overflow", "detail": {"dropped_tokens": 70}}
    documents = (
        bodies(response.content[: -len(b"data: [DONE]\n\n")]) if stream else [response.json()]
    )
    assert [notice for document in documents for notice in document.get("notices", [])] == [told]
    assert documents[-1]["usage"]["prompt_tokens_details"]["dropped_tokens"] == 70
    assert worker.requests[0].overflow == "trim"


async def test_pictures_are_refused(openai_client: Any) -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}
    async with openai_client() as client:
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(
                model="tiny-qwen", messages=[{"role": "user", "content": [picture]}]
            )


@pytest.mark.parametrize("stream", [False, True])
async def test_an_overlong_prompt_is_400_in_both_modes(
    openai_client: Any, worker: Any, stream: bool
) -> None:
    worker.script = (Failed("context-overflow", "", "5000 tokens, 4096 fit", "shorten it"),)
    async with openai_client() as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(
                model="tiny-qwen", messages=QUESTION, stream=stream
            )
    assert refused.value.code == "context_length_exceeded"
    assert refused.value.type == "exceed_context_size_error"
    assert "5000 tokens" in refused.value.message


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failed_model_is_503_with_the_fix(
    openai_client: Any, worker: Any, stream: bool
) -> None:
    worker.status.phase = "failed"
    async with openai_client() as client:
        with pytest.raises(openai.InternalServerError) as refused:
            await client.chat.completions.create(
                model="tiny-qwen", messages=QUESTION, stream=stream
            )
    assert refused.value.status_code == 503
    assert refused.value.code == "weights-truncated"
    assert "qwell pull" in refused.value.message


async def test_an_error_after_the_first_token_becomes_an_event(
    openai_client: Any, worker: Any
) -> None:
    worker.script = (Delta("half"), Failed("worker-crashed", "", "signal 11", "try again"))
    async with openai_client() as client:
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
    ("reason", "finish"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("repetition", "length"),
        ("tool_calls", "tool_calls"),
    ],
)
def test_reasons_become_finish_reasons(reason: Any, finish: str) -> None:
    completion = Completion("r", "m")
    answer = answer_of(Delta("a"), Delta("b"), Done(reason, Usage(1, 0, 1)))
    whole = completion.whole([answer])
    assert whole["choices"][0]["finish_reason"] == finish
    assert whole["choices"][0]["message"]["content"] == "ab"
    (closing,) = completion.frames(0, Done(reason))
    assert bodies(closing)[0]["choices"][0]["finish_reason"] == finish


def test_logprobs_are_passed_on_when_asked_for() -> None:
    token = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}
    delta = Delta("a", (token,))
    asked = Completion("r", "m", logprobs=True)
    (chunk,) = asked.frames(0, delta)
    assert bodies(chunk)[0]["choices"][0]["logprobs"]["content"] == [token]
    answer = answer_of(delta, Done())
    assert asked.whole([answer])["choices"][0]["logprobs"]["content"] == [token]
    assert Completion("r", "m").whole([answer])["choices"][0]["logprobs"] is None


def answer_of(*events: Event) -> Answer:
    answer = Answer()
    for event in events:
        answer.take(event)
    return answer


def bodies(frames: bytes) -> list[Any]:
    return [json.loads(frame.data) for frame in sse.Decoder().push(frames)]


async def test_an_unreadable_body_has_openais_error_shape(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    response = await client.post("/v1/chat/completions", content=b"{", headers=headers)
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", "body")
    assert "property name" in error["message"]
    assert "at character 1" in error["message"]


async def test_a_body_that_is_not_announced_as_json_is_told_so(client: httpx.AsyncClient) -> None:
    body = b'{"model": "qwell", "messages": []}'
    headers = {"Content-Type": "text/plain"}
    response = await client.post("/v1/chat/completions", content=body, headers=headers)
    assert response.status_code == 400
    assert "Content-Type: application/json" in response.json()["error"]["message"]


async def test_an_unknown_route_has_openais_error_shape(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/nothing", headers={"Accept": "text/html"})
    assert response.status_code == 404
    assert "/docs" in response.json()["error"]["message"]
