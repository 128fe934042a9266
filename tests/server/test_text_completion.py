"""/v1/completions as the official client sees it, and what it refuses."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest

from qwell.core import Delta, Done, Usage

pytestmark = pytest.mark.anyio


async def test_text_and_its_continuation(openai_client: Any, worker: Any) -> None:
    async with openai_client() as client:
        answer = await client.completions.create(model="qwell", prompt="Once", max_tokens=5)
    assert answer.choices[0].text == "你好, world"
    assert answer.usage.total_tokens == 9
    (request,) = worker.requests
    assert (request.prompt, request.max_tokens, request.messages) == ("Once", 5, ())


async def test_streamed(openai_client: Any) -> None:
    async with openai_client() as client:
        stream = await client.completions.create(
            model="qwell",
            prompt="Once",
            echo=True,
            stream=True,
            stream_options={"include_usage": True},
        )
        *parts, usage = [chunk async for chunk in stream]
    assert "".join(part.choices[0].text for part in parts) == "Once你好, world"
    assert parts[-1].choices[0].finish_reason == "stop"
    assert usage.usage.completion_tokens == 2


async def test_each_prompt_is_counted_once(openai_client: Any, worker: Any) -> None:
    worker.script = (Delta("x"), Done(usage=Usage(7, 2, 3)))
    async with openai_client() as client:
        answer = await client.completions.create(model="qwell", prompt=["a", "b"], n=2)
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (14, 12, 26)
    assert usage.prompt_tokens_details.cached_tokens == 4


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        ("a", [("a", ())]),
        (["a", "b"], [("a", ()), ("b", ())]),
        ([1, 2], [(None, (1, 2))]),
        ([[1], [2, 3]], [(None, (1,)), (None, (2, 3))]),
    ],
)
async def test_every_kind_of_prompt(
    openai_client: Any, worker: Any, prompt: Any, read: Any
) -> None:
    async with openai_client() as client:
        answer = await client.completions.create(model="qwell", prompt=prompt)
    assert [(r.prompt, r.prompt_ids) for r in worker.requests] == read
    assert [choice.index for choice in answer.choices] == list(range(len(read)))


async def test_choices_are_numbered_prompt_by_prompt(openai_client: Any) -> None:
    async with openai_client() as client:
        answer = await client.completions.create(model="qwell", prompt=["a", "b"], n=2, echo=True)
    assert [(c.index, c.text[0]) for c in answer.choices] == [
        (0, "a"),
        (1, "a"),
        (2, "b"),
        (3, "b"),
    ]


@pytest.mark.parametrize("stream", [False, True])
async def test_logprobs_stand_side_by_side(openai_client: Any, worker: Any, stream: bool) -> None:
    def entry(token: str) -> dict[str, Any]:
        top = [{"token": token, "logprob": -0.5, "bytes": []}]
        return {"token": token, "logprob": -0.5, "bytes": [], "top_logprobs": top}

    worker.script = (
        Delta("ab", (entry("a"), entry("b"))),
        Delta("c", (entry("c"),)),
        Done(usage=Usage(1, 0, 3)),
    )
    async with openai_client() as client:
        asked = client.completions.create(model="qwell", prompt="x", logprobs=1, stream=stream)
        if stream:
            chunks = [chunk.choices[0].logprobs async for chunk in await asked]
            found = [chunk for chunk in chunks if chunk]
        else:
            found = [(await asked).choices[0].logprobs]
    assert [token for part in found for token in part.tokens] == ["a", "b", "c"]
    assert [offset for part in found for offset in part.text_offset] == [0, 1, 2]
    assert found[0].top_logprobs[0] == {"a": -0.5}


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"suffix": "end"}, "suffix"),
        ({"best_of": 2}, "best_of"),
        ({"echo": True, "logprobs": 1}, "echo"),
        ({"prompt": [1, 2], "echo": True}, "echo"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [-1]}, "prompt"),
    ],
)
async def test_what_is_not_served_is_refused_by_name(
    openai_client: Any, extra: Any, named: str
) -> None:
    async with openai_client() as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.completions.create(**{"model": "qwell", "prompt": "x"} | extra)
    assert refused.value.param.startswith(named)


async def test_an_unknown_model_is_404(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/completions", json={"model": "gpt", "prompt": "x"})
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"
