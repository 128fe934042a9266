"""/v1/messages as the official client sees it, and what it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import httpx
import pytest

from qwell.core import Delta, Done, Failed, Prefill, Tokens, Usage

pytestmark = pytest.mark.anyio
QUESTION: Any = [{"role": "user", "content": "hi"}]
TOOL: Any = {"name": "weather", "input_schema": {"type": "object", "properties": {}}}
CALL = {"id": "call_1", "name": "weather", "arguments": '{"city": "Bonn"}'}


@pytest.fixture
def connected(make_app: Any, served: Any) -> Any:
    """The official client over a real port."""

    @asynccontextmanager
    async def connect(**settings: Any) -> AsyncIterator[anthropic.AsyncAnthropic]:
        async with (
            served(make_app(**settings)) as url,
            anthropic.AsyncAnthropic(base_url=url, api_key="any", max_retries=0) as client,
        ):
            yield client

    return connect


async def test_a_whole_message(connected: Any, worker: Any) -> None:
    async with connected() as client:
        message = await client.messages.create(
            model="tiny-qwen",
            max_tokens=9,
            system="be brief",
            messages=QUESTION,
            stop_sequences=["END"],
            extra_body={"temperature": 0.5},
        )
    assert message.content[0].text == "你好, world"
    assert (message.stop_reason, message.model) == ("end_turn", "tiny-qwen")
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (4, 3)
    (request,) = worker.requests
    assert [(m.role, m.content) for m in request.messages] == [
        ("system", "be brief"),
        ("user", "hi"),
    ]
    assert (request.max_tokens, request.stop) == (9, ("END",))


async def test_a_streamed_message_with_text_and_call(connected: Any, worker: Any) -> None:
    worker.script = (
        Prefill(7, 7, 3),
        Delta("Let "),
        Delta("me see."),
        Delta("", tool_calls=(CALL,)),
        Done("tool_calls", Usage(7, 3, 9)),
    )
    async with (
        connected() as client,
        client.messages.stream(
            model="qwell", max_tokens=9, messages=QUESTION, tools=[TOOL]
        ) as stream,
    ):
        text = "".join([piece async for piece in stream.text_stream])
        final = await stream.get_final_message()
    assert text == "Let me see."
    assert [block.type for block in final.content] == ["text", "tool_use"]
    assert final.content[1].input == {"city": "Bonn"}
    assert final.stop_reason == "tool_use"
    assert (final.usage.input_tokens, final.usage.output_tokens) == (4, 9)


async def test_input_is_streamed_as_it_is_written(connected: Any, worker: Any) -> None:
    begun = {"id": "call_1", "name": "weather", "arguments": ""}
    pieces = [begun, *({"arguments": character} for character in '{"city": 1}')]
    worker.script = (
        Prefill(7, 7, 3),
        *(Delta("", tool_calls=(piece,)) for piece in pieces),
        Done("tool_calls", Usage(7, 3, 9)),
    )
    asked: Any = {"model": "qwell", "max_tokens": 9, "messages": QUESTION, "tools": [TOOL]}
    async with connected() as client:
        async with client.messages.stream(**asked) as stream:
            events = [event async for event in stream]
            final: Any = await stream.get_final_message()
        whole: Any = await client.messages.create(**asked)
    parts = [event.partial_json for event in events if event.type == "input_json"]
    assert parts == list('{"city": 1}')
    assert final.content[0].input == whole.content[0].input == {"city": 1}


async def test_input_that_was_cut_off_is_empty(connected: Any, worker: Any) -> None:
    call = {"id": "call_1", "name": "weather", "arguments": '{"ci'}
    worker.script = (Delta("", tool_calls=(call,)), Done("length"))
    async with connected() as client:
        message: Any = await client.messages.create(
            model="qwell", max_tokens=9, messages=QUESTION, tools=[TOOL]
        )
    assert (message.content[0].input, message.stop_reason) == ({}, "max_tokens")


@pytest.mark.parametrize(
    ("done", "reason", "stop"),
    [
        (Done("stop"), "end_turn", None),
        (Done("stop", stop="END"), "stop_sequence", "END"),
        (Done("length"), "max_tokens", None),
        (Done("repetition"), "max_tokens", None),
    ],
)
async def test_why_it_stopped(
    connected: Any, worker: Any, done: Done, reason: str, stop: str | None
) -> None:
    worker.script = (Delta("a"), done)
    async with connected() as client:
        message = await client.messages.create(model="qwell", max_tokens=9, messages=QUESTION)
    assert (message.stop_reason, message.stop_sequence) == (reason, stop)


async def test_blocks_become_turns(connected: Any, worker: Any) -> None:
    call = {"type": "tool_use", "id": "c", "name": "weather", "input": {"city": "Bonn"}}
    result = {
        "type": "tool_result",
        "tool_use_id": "c",
        "content": [{"type": "text", "text": "rain"}],
    }
    messages: Any = [
        {"role": "user", "content": [{"type": "text", "text": "weather?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Let me see."}, call]},
        {"role": "user", "content": [result, {"type": "text", "text": "well?"}]},
    ]
    async with connected() as client:
        await client.messages.create(
            model="qwell",
            max_tokens=9,
            messages=messages,
            tools=[TOOL],
            tool_choice={"type": "any", "disable_parallel_tool_use": True},
        )
    (request,) = worker.requests
    assert [m.role for m in request.messages] == ["user", "assistant", "tool", "user"]
    assert request.messages[1].tool_calls[0]["function"]["arguments"] == '{"city": "Bonn"}'
    assert request.messages[2].content == "rain"
    assert (request.must_call, request.one_call) == (True, True)


async def test_a_begun_answer_is_continued(connected: Any, worker: Any) -> None:
    messages: Any = [*QUESTION, {"role": "assistant", "content": "{"}]
    async with connected() as client:
        await client.messages.create(model="qwell", max_tokens=9, messages=messages)
    assert worker.requests[0].continue_last


async def test_tokens_are_counted_and_nothing_is_computed(connected: Any, worker: Any) -> None:
    worker.script = (Tokens((1, 2, 3), "abc"), Done(usage=Usage(3)))
    async with connected() as client:
        counted = await client.messages.count_tokens(model="qwell", messages=QUESTION, system="s")
    assert counted.input_tokens == 3
    assert worker.requests[0].encode_only


async def test_an_unknown_model_is_404(connected: Any) -> None:
    async with connected() as client:
        with pytest.raises(anthropic.NotFoundError) as refused:
            await client.messages.create(model="claude", max_tokens=1, messages=QUESTION)
    assert refused.value.body["error"]["type"] == "not_found_error"


async def test_a_wrong_key_is_401(connected: Any) -> None:
    async with connected(api_key="secret-key-of-some-length") as client:
        with pytest.raises(anthropic.AuthenticationError) as refused:
            await client.messages.create(model="qwell", max_tokens=1, messages=QUESTION)
    assert refused.value.body["error"]["type"] == "authentication_error"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_full_context_is_400(connected: Any, worker: Any, stream: bool) -> None:
    worker.script = (Failed("context-overflow", "", "too long", "shorten it"),)
    async with connected() as client:
        with pytest.raises(anthropic.BadRequestError) as refused:
            await client.messages.create(
                model="qwell", max_tokens=1, messages=QUESTION, stream=stream
            )
    assert refused.value.body["error"]["type"] == "invalid_request_error"
    assert "shorten it" in refused.value.body["error"]["message"]


async def test_a_failure_in_the_middle_is_an_event(connected: Any, worker: Any) -> None:
    worker.script = (Delta("half"), Failed("worker-crashed", "", "signal 11", "try again"))
    async with connected() as client:
        stream = await client.messages.create(
            model="qwell", max_tokens=9, messages=QUESTION, stream=True
        )
        with pytest.raises(anthropic.APIStatusError, match="signal 11"):
            _ = [event async for event in stream]


@pytest.mark.parametrize(
    "extra",
    [
        {"max_tokens": 0},
        {"temperature": 1.5},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"tools": [{"type": "bash_20250124", "name": "bash"}]},
        {"tool_choice": {"type": "any"}},
        {"messages": [{"role": "system", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]},
    ],
)
async def test_what_is_not_served_is_refused(client: httpx.AsyncClient, extra: Any) -> None:
    body = {"model": "qwell", "max_tokens": 5, "messages": QUESTION} | extra
    response = await client.post("/v1/messages", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert next(iter(extra)) in response.json()["error"]["message"]
