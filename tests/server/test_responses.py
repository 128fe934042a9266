"""/v1/responses as the official client sees it, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest

from qwell.core import Delta, Done, Failed, Usage

pytestmark = pytest.mark.anyio
TOOL: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {}},
    "strict": True,
}
CALL = {"id": "call_1", "name": "weather", "arguments": "{}"}


async def test_a_whole_response(openai_client: Any, worker: Any) -> None:
    async with openai_client() as client:
        answer = await client.responses.create(
            model="qwell", input="hi", instructions="be brief", max_output_tokens=9, temperature=0
        )
    assert answer.output_text == "你好, world"
    assert (answer.status, answer.instructions) == ("completed", "be brief")
    assert answer.usage.total_tokens == 9
    (request,) = worker.requests
    assert [(m.role, m.content) for m in request.messages] == [
        ("system", "be brief"),
        ("user", "hi"),
    ]
    assert (request.max_tokens, request.sampling.temperature) == (9, 0)


async def test_a_streamed_response_with_text_and_call(openai_client: Any, worker: Any) -> None:
    worker.script = (
        Delta("Let "),
        Delta("me see."),
        Delta("", tool_calls=(CALL,)),
        Done("tool_calls", Usage(5, 0, 9)),
    )
    async with (
        openai_client() as client,
        client.responses.stream(model="qwell", input="hi", tools=[TOOL]) as stream,
    ):
        events = [event async for event in stream]
        final = await stream.get_final_response()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [item.type for item in final.output] == ["message", "function_call"]
    assert final.output_text == "Let me see."
    assert (final.output[1].call_id, final.output[1].arguments) == ("call_1", "{}")
    opened = [event for event in events if event.type == "response.output_item.added"]
    closed = [event for event in events if event.type == "response.output_item.done"]
    assert [e.item.id for e in opened] == [e.item.id for e in closed]
    assert [e.output_index for e in opened] == [0, 1]


async def test_arguments_are_streamed_as_they_are_written(openai_client: Any, worker: Any) -> None:
    begun = {"id": "call_1", "name": "weather", "arguments": ""}
    worker.script = (
        *(Delta("", tool_calls=(piece,)) for piece in (begun, *_arguments('{"city": 1}'))),
        Delta("", tool_calls=({"id": "call_2", "name": "weather", "arguments": '{"ci'},)),
        Done("length", Usage(5, 0, 9)),
    )
    async with openai_client() as client:
        stream = await client.responses.create(model="qwell", input="hi", tools=[TOOL], stream=True)
        events = [event async for event in stream]
        whole = await client.responses.create(model="qwell", input="hi", tools=[TOOL])
    kind = "response.function_call_arguments"
    pieces = [event.delta for event in events if event.type == f"{kind}.delta"]
    assert pieces == [*'{"city": 1}', '{"ci']
    assert [e.arguments for e in events if e.type == f"{kind}.done"] == ['{"city": 1}', '{"ci']
    for output in (events[-1].response.output, whole.output):
        assert [item.arguments for item in output] == ['{"city": 1}', '{"ci']
        assert [item.status for item in output] == ["completed", "incomplete"]


def _arguments(text: str) -> list[dict[str, str]]:
    return [{"arguments": character} for character in text]


async def test_items_become_turns(openai_client: Any, worker: Any) -> None:
    items: Any = [
        {"role": "user", "content": [{"type": "input_text", "text": "weather?"}]},
        {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "rain"},
        {"type": "message", "role": "assistant", "content": "It rains."},
        {"role": "user", "content": "thanks"},
    ]
    async with openai_client() as client:
        await client.responses.create(model="qwell", input=items, tools=[TOOL])
    (request,) = worker.requests
    assert [m.role for m in request.messages] == ["user", "assistant", "tool", "assistant", "user"]
    assert request.messages[1].tool_calls[0]["function"]["name"] == "weather"
    assert request.messages[2].content == "rain"


async def test_an_answer_of_ours_can_be_sent_back(openai_client: Any, worker: Any) -> None:
    async with openai_client() as client:
        answer = await client.responses.create(model="qwell", input="hi")
        output = [item.model_dump(mode="json") for item in answer.output]
        question = {"role": "user", "content": "more"}
        await client.responses.create(model="qwell", input=[*output, question])
    assert worker.requests[1].messages[0].content == "你好, world"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cut_response_is_incomplete(openai_client: Any, worker: Any, stream: bool) -> None:
    worker.script = (Delta("half"), Done("length", Usage(1, 0, 1)))
    async with openai_client() as client:
        answer = await client.responses.create(model="qwell", input="hi", stream=stream)
        if stream:
            *_, last = [event async for event in answer]
            assert last.type == "response.incomplete"
            answer = last.response
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")


async def test_a_failure_in_the_middle_is_an_event(openai_client: Any, worker: Any) -> None:
    worker.script = (Delta("half"), Failed("worker-crashed", "", "signal 11", "try again"))
    async with openai_client() as client:
        stream = await client.responses.create(model="qwell", input="hi", stream=True)
        *_, last = [event async for event in stream]
    assert last.type == "response.failed"
    assert "signal 11" in last.response.error.message


async def test_a_schema_is_asked_for(openai_client: Any, worker: Any) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    wanted: Any = {"format": {"type": "json_schema", "name": "n", "schema": schema}}
    async with openai_client() as client:
        answer = await client.responses.create(model="qwell", input="hi", text=wanted)
    assert worker.requests[0].reply_schema == schema
    assert json.loads(answer.to_json())["text"]["format"]["schema"] == schema


@pytest.mark.parametrize(
    "extra",
    [
        {"previous_response_id": "resp_1"},
        {"background": True},
        {"reasoning": {"effort": "high"}},
        {"tools": [{"type": "web_search"}]},
        {"tool_choice": "required"},
    ],
)
async def test_what_is_not_served_is_refused(client: httpx.AsyncClient, extra: Any) -> None:
    response = await client.post("/v1/responses", json={"model": "qwell", "input": "x"} | extra)
    assert response.status_code == 400
    assert response.json()["error"]["param"].startswith(next(iter(extra)))


async def test_a_full_context_is_400(openai_client: Any, worker: Any) -> None:
    worker.script = (Failed("context-overflow", "", "too long", "shorten it"),)
    async with openai_client() as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.responses.create(model="qwell", input="hi")
    assert refused.value.code == "context_length_exceeded"
