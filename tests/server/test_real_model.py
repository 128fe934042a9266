"""The APIs over the real model: what it writes under a grammar can be relied on."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from qwell.config import Settings
from qwell.server.app import create_app
from qwell.weights import PackedModel
from qwell.worker.supervisor import Supervisor

pytestmark = [pytest.mark.anyio, pytest.mark.weights]
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 30},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 30}},
    "required": ["city"],
}
WEATHER: Any = {
    "type": "function",
    "function": {"name": "weather", "description": "Weather of a city", "parameters": CITY},
}


@pytest.fixture
def real(served: Any, bundle: Path, real_gguf: Path, real_pack: PackedModel) -> Any:
    @asynccontextmanager
    async def run() -> AsyncIterator[str]:
        settings = Settings(model=str(real_gguf), ctx_size=1024, parallel=2)
        supervisor = Supervisor(settings, os.environ)
        async with served(create_app(settings, supervisor, bundle=bundle)) as url:
            while supervisor.status.phase in ("starting", "loading"):
                await supervisor.changed()
            assert supervisor.status.phase == "ready", supervisor.status.error
            yield url

    return run


async def test_schemas_tools_choices_and_counting(real: Any) -> None:
    async with (
        real() as url,
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client,
        anthropic.AsyncAnthropic(base_url=url, api_key="any", max_retries=0) as messages,
    ):
        await answers_follow_their_schema(client)
        await tools_are_called(client)
        await choices_share_their_prompt(client)
        await messages_call_tools(messages)


async def answers_follow_their_schema(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model="qwell",
        messages=[{"role": "user", "content": "Invent a person, as JSON."}],
        max_tokens=100,
        temperature=1.5,
        seed=1,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "person", "schema": PERSON, "strict": True},
        },
    )
    person = json.loads(answer.choices[0].message.content or "")
    assert person.keys() == PERSON["properties"].keys()  # type: ignore[attr-defined]
    assert isinstance(person["age"], int)


async def tools_are_called(client: openai.AsyncOpenAI) -> None:
    for choice in ("auto", "required"):
        answer = await client.chat.completions.create(
            model="qwell",
            messages=[{"role": "user", "content": "How is the weather in Paris?"}],
            tools=[WEATHER],
            tool_choice=choice,  # type: ignore[arg-type]
            parallel_tool_calls=False,
            temperature=0,
            max_tokens=100,
        )
        (call,) = answer.choices[0].message.tool_calls or ()
        assert call.type == "function"
        assert json.loads(call.function.arguments)["city"] == "Paris"
        assert answer.choices[0].finish_reason == "tool_calls"


async def choices_share_their_prompt(client: openai.AsyncOpenAI) -> None:
    answers = [
        await client.chat.completions.create(
            model="qwell",
            messages=[{"role": "user", "content": "Tell me a number. " * 20}],
            n=2,
            seed=7,
            temperature=1.0,
            max_tokens=12,
        )
        for _ in range(2)
    ]
    first, again = ([c.message.content for c in a.choices] for a in answers)
    assert first == again
    assert first[0] != first[1]


async def messages_call_tools(client: anthropic.AsyncAnthropic) -> None:
    tool: Any = {"name": "weather", "description": "Weather of a city", "input_schema": CITY}
    question: Any = [{"role": "user", "content": "How is the weather in Rome?"}]
    counted = await client.messages.count_tokens(model="qwell", messages=question, tools=[tool])
    message = await client.messages.create(
        model="qwell",
        max_tokens=100,
        messages=question,
        tools=[tool],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
    )
    (block,) = message.content
    assert block.type == "tool_use"
    assert block.input["city"]
    usage = message.usage
    assert usage.input_tokens + (usage.cache_read_input_tokens or 0) == counted.input_tokens
