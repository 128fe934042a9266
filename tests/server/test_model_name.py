"""Another model than the one that is served is refused, also when it is known only later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

import httpx
import openai
import pytest
from tests.server.conftest import MODEL

from qwell.core import Delta, Done, Event, Prefill
from qwell.server import client_answer

pytestmark = pytest.mark.anyio
QUESTION: Any = [{"role": "user", "content": "hi"}]


def loading(worker: Any) -> Iterator[Event]:
    """An answer whose model is known only when it begins."""
    worker.status.model = dict(MODEL)
    yield Prefill(1, 1)
    yield Delta("hello")
    yield Done("stop")


@pytest.fixture
def unloaded(worker: Any) -> Any:
    worker.status.model = {}
    worker.status.phase = "loading"
    worker.script = loading(worker)
    return worker


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize("stream", [False, True])
async def test_the_name_is_looked_at_when_the_model_is_there(
    openai_client: Any, stream: bool
) -> None:
    async with openai_client() as client:
        with pytest.raises(openai.NotFoundError) as refused:
            await client.chat.completions.create(model="gpt-4", messages=QUESTION, stream=stream)
    assert refused.value.code == "model_not_found"


@pytest.mark.parametrize("asked", ["qwell", "tiny-qwen", "Qwen/Tiny-Qwen"])
@pytest.mark.usefixtures("unloaded")
async def test_the_right_name_waits_and_is_answered(openai_client: Any, asked: str) -> None:
    async with openai_client() as client:
        answer = await client.chat.completions.create(model=asked, messages=QUESTION)
    assert (answer.model, answer.choices[0].message.content) == ("tiny-qwen", "hello")


async def test_after_the_headers_the_refusal_is_an_event(
    api: httpx.AsyncClient, unloaded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_answer, "FIRST_SIGN_S", 0.05)
    unloaded.script = chain([unloaded.PAUSE], loading(unloaded))
    asyncio.get_running_loop().call_later(0.5, unloaded.go)
    body = {"model": "gpt-4", "messages": QUESTION, "stream": True}
    answer = await api.post("/v1/chat/completions", json=body)
    frames = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    assert answer.status_code == 200
    assert frames[-1] == "[DONE]"
    assert json.loads(frames[-2])["error"]["code"] == "model_not_found"
    assert "hello" not in answer.text


@pytest.mark.usefixtures("unloaded")
async def test_while_nothing_is_loaded_no_model_is_shown(api: httpx.AsyncClient) -> None:
    assert (await api.get("/v1/models")).json()["data"] == []
    refused = await api.get("/v1/models/gpt-4")
    assert refused.status_code == 503
    assert refused.json()["error"]["fault"] == "model-still-loading"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tokenize", {"content": "x"}),
        ("/detokenize", {"tokens": [1]}),
        ("/v1/messages/count_tokens", {"messages": QUESTION}),
        ("/v1/completions", {"prompt": "x"}),
        ("/v1/responses", {"input": "x"}),
        ("/v1/messages", {"messages": QUESTION, "max_tokens": 1}),
    ],
)
async def test_every_route_refuses_another_model(
    api: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    refused = await api.post(path, json={**body, "model": "gpt-4"})
    assert refused.status_code == 404
    assert "model-name-unknown" in refused.text
