"""LiteLLM and LangChain, as programs use them, over a real worker that answers from a script."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, SecretStr

pytestmark = pytest.mark.anyio
CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call>'
TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    },
}


class Point(BaseModel):
    """A point in the plane."""

    x: int
    y: int


@pytest.fixture
def langchain(running: Any) -> Any:
    """LangChain's chat model, over a server that answers by this script."""
    from langchain_openai import ChatOpenAI

    @asynccontextmanager
    async def connect(**script: Any) -> AsyncIterator[ChatOpenAI]:
        async with running(**script) as url, httpx.AsyncClient() as http:
            yield ChatOpenAI(
                model="qwell",
                base_url=f"{url}/v1",
                api_key=SecretStr("any"),
                max_retries=0,
                http_async_client=http,
            )

    return connect


async def test_langchain_in_both_modes(langchain: Any) -> None:
    async with langchain() as chat:
        whole = await chat.ainvoke("你好, world")
        pieces = [piece async for piece in chat.astream("你好, world")]
    assert whole.content == "你好, world"
    assert whole.usage_metadata["output_tokens"] > 0
    assert "".join(str(piece.content) for piece in pieces) == "你好, world"


async def test_langchain_calls_tools_and_sends_results(langchain: Any) -> None:
    from langchain_core.messages import HumanMessage, ToolMessage

    question = HumanMessage("1 + 2?")
    async with langchain(answers={"1 + 2?": CALL}, answer="It is 3.") as chat:
        tooled = chat.bind_tools([TOOL])
        asked = await tooled.ainvoke([question])
        (call,) = asked.tool_calls
        assert (call["name"], call["args"]) == ("add", {"a": 1, "b": 2})
        result = ToolMessage("3", tool_call_id=call["id"])
        assert (await tooled.ainvoke([question, asked, result])).content == "It is 3."


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("json_schema", '{"x": 1, "y": 2}'),
        ("json_mode", '{"x": 1, "y": 2}'),
        (
            "function_calling",
            '<tool_call>\n{"name": "Point", "arguments": {"x": 1, "y": 2}}\n</tool_call>',
        ),
    ],
)
async def test_langchain_gets_structures(langchain: Any, method: str, answer: str) -> None:
    async with langchain(answer=answer) as chat:
        structured = chat.with_structured_output(Point, method=method)
        assert await structured.ainvoke("a point") == Point(x=1, y=2)


# In a process of its own: it starts threads, and warns of what is not this project's.
LITELLM = """
import json, sys, litellm
common = dict(model="openai/qwell", api_base=sys.argv[1] + "/v1", api_key="any")
tool = json.loads(sys.argv[2])
hi = [{"role": "user", "content": "hi"}]
whole = litellm.completion(messages=hi, **common)
stream = list(litellm.completion(messages=hi, stream=True, **common))
add = [{"role": "user", "content": "1 + 2?"}]
called = litellm.completion(messages=add, tools=[tool], tool_choice="required", **common)
pieces = list(litellm.completion(messages=add, tools=[tool], stream=True, **common))
text = litellm.text_completion(prompt="hi", **{**common, "model": "text-completion-openai/qwell"})
try:
    litellm.completion(messages=hi, **{**common, "model": "openai/other"})
except litellm.NotFoundError as error:
    refused = str(error)
print(json.dumps({
    "whole": whole.choices[0].message.content,
    "stream": "".join(chunk.choices[0].delta.content or "" for chunk in stream),
    "call": called.choices[0].message.tool_calls[0].function.arguments,
    "finish": called.choices[0].finish_reason,
    "pieces": "".join(
        call.function.arguments or ""
        for chunk in pieces for call in chunk.choices[0].delta.tool_calls or ()
    ),
    "text": bool(text.choices[0].text),
    "refused": refused,
}))
"""


async def test_litellm(running: Any) -> None:
    import asyncio

    async with running(answers={"1 + 2?": CALL}, answer="Hello!") as url:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-W", "ignore", "-c", LITELLM, url, json.dumps(TOOL)],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["whole"] == said["stream"] == "Hello!"
    assert json.loads(said["call"]) == json.loads(said["pieces"]) == {"a": 1, "b": 2}
    assert said["finish"] == "tool_calls"
    assert said["text"]
    assert "qwell" in said["refused"] or "scripted" in said["refused"]
