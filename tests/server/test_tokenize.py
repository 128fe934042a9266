"""/tokenize and /detokenize over a real worker."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from qwell.core import Failed

pytestmark = pytest.mark.anyio


@pytest.fixture
def ask(running: Any) -> Any:
    """Posts to a server whose tokens are bytes."""

    async def post(path: str, body: Any) -> httpx.Response:
        async with running() as url, httpx.AsyncClient(base_url=url) as client:
            return await client.post(path, json=body)

    return post


@pytest.mark.parametrize("name", ["content", "prompt"])
async def test_a_text(ask: Any, name: str) -> None:
    body = (await ask("/tokenize", {name: "hé<|im_end|>"})).json()
    assert body["tokens"] == list("hé<|im_end|>".encode())
    assert body["count"] == len(body["tokens"])
    assert body["max_model_len"] == 512


async def test_nothing_has_no_tokens(ask: Any) -> None:
    assert (await ask("/tokenize", {"content": ""})).json()["count"] == 0
    assert (await ask("/detokenize", {"tokens": []})).json()["content"] == ""


async def test_a_conversation_is_written_by_the_template(ask: Any) -> None:
    body = (await ask("/tokenize", {"messages": [{"role": "user", "content": "hi"}]})).json()
    assert body["tokens"][:8] == [257, *b"user\nhi"]
    assert body["tokens"][-1] == ord("\n")


async def test_tokens_become_text_again(ask: Any) -> None:
    body = (await ask("/detokenize", {"tokens": [257, *"é".encode(), 258]})).json()
    assert body["content"] == body["prompt"] == "<|im_start|>é<|im_end|>"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tokenize", {}),
        ("/tokenize", {"content": "a", "messages": [{"role": "user", "content": "a"}]}),
        ("/tokenize", {"content": "x" * 250_001}),
        ("/detokenize", {"tokens": [9999]}),
        ("/detokenize", {"tokens": [-1]}),
        ("/detokenize", {}),
    ],
)
async def test_what_cannot_be_converted_is_a_problem_document(
    ask: Any, path: str, body: Any
) -> None:
    response = await ask(path, body)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["fix"]


async def test_a_key_is_asked_for(make_app: Any, client_of: Any) -> None:
    client = client_of(make_app(api_key="secret-key-of-some-length"))
    for path in ("/tokenize", "/detokenize"):
        assert (await client.post(path, json={"content": "a"})).status_code == 401


async def test_a_failed_model_is_503(client: httpx.AsyncClient, worker: Any) -> None:
    worker.script = (Failed("weights-corrupt", cause="broken", fix="qwell pull"),)
    response = await client.post("/tokenize", json={"content": "a"})
    assert response.status_code == 503
    assert response.json()["type"] == "/faults/weights-corrupt"
