"""A refused or failed request is explained in the language of whoever asks; names stay."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from qwell.core import Delta, Failed

pytestmark = pytest.mark.anyio
CHINESE = {"accept-language": "zh-CN,zh;q=0.9,en;q=0.8"}
LOST = Failed(
    "worker-crashed", cause="the worker was killed by SIGKILL", fix="send the message again"
)


async def test_refusals_are_in_the_callers_language(client: httpx.AsyncClient) -> None:
    asked: dict[str, Any] = {"messages": []}
    chinese = (await client.post("/api/chat", json=asked, headers=CHINESE)).json()
    english = (await client.post("/api/chat", json=asked)).json()
    assert chinese["type"] == english["type"] == "/faults/invalid-request-body"
    assert chinese["detail"] == "messages：至少要有 1 项，现有 0 项"
    assert chinese["expected"] == "符合 /docs 说明的 JSON 请求体"
    assert chinese["fix"] == "改正 messages 后重新发送请求"
    assert chinese["title"] != english["title"] == "Invalid request body"
    assert "at least 1 item" in english["detail"]


async def test_programs_get_their_shape_in_their_language(client: httpx.AsyncClient) -> None:
    body = {"model": "gpt-4", "messages": [{"role": "user", "content": "hi"}]}
    refused = (await client.post("/v1/chat/completions", json=body, headers=CHINESE)).json()
    assert refused["error"]["code"] == "model_not_found"
    assert refused["error"]["message"].startswith(
        "请求的模型是 'gpt-4'。应为：'tiny-qwen'，即正在提供"
    )
    anthropic = await client.post("/v1/messages", json={**body, "max_tokens": 1}, headers=CHINESE)
    assert "解决办法" in anthropic.json()["error"]["message"]


async def test_an_unknown_path_too(client: httpx.AsyncClient) -> None:
    refused = (await client.get("/api/nothing", headers=CHINESE)).json()
    assert refused["detail"] == "GET /api/nothing：没有这个路径"
    assert refused["fix"] == "改正 URL 或请求方法"


async def test_a_failed_stream_speaks_the_language_of_its_reader(
    api: httpx.AsyncClient, worker: Any, question: Any
) -> None:
    worker.script = (Delta("one"), LOST)
    asked = await api.post("/api/chat", json=question, headers=CHINESE)
    chosen = await api.post("/api/chat", json={**question, "lang": "en"}, headers=CHINESE)
    chinese, english = (
        json.loads(answer.text.strip().splitlines()[-1].removeprefix("data: "))
        for answer in (asked, chosen)
    )
    assert chinese["cause"] == "工作进程被 SIGKILL 终止"
    assert chinese["fix"] == "重新发送消息"
    assert chinese["code"] == english["code"] == "worker-crashed"
    assert english["cause"] == LOST.cause


async def test_a_line_speaks_the_language_that_the_page_chose(
    make_app: Any, served: Any, worker: Any, question: Any
) -> None:
    """A page cannot set headers of a WebSocket."""
    worker.script = (LOST,)
    async with served(make_app()) as url, connect(url.replace("http", "ws") + "/ws/chat") as line:
        await line.send(json.dumps({"op": "chat", **question, "lang": "zh"}))
        while (event := json.loads(await line.recv()))["type"] != "error":
            continue
        await line.send("{")
        refused = json.loads(await line.recv())
    assert event["cause"] == "工作进程被 SIGKILL 终止"
    assert refused["fix"] == "发送 JSON 对象"


async def test_a_stored_failure_is_read_in_the_language_of_whoever_reads_it(
    api: httpx.AsyncClient, worker: Any, question: Any
) -> None:
    worker.script = (Delta("one"), LOST)
    await api.post("/api/chat", json={**question, "conversation": "c1", "parent": None})
    path = "/api/conversations/c1/messages"
    chinese = (await api.get(path, headers=CHINESE)).json()["messages"][-1]["end"]
    english = (await api.get(path)).json()["messages"][-1]["end"]
    assert (chinese["cause"], english["cause"]) == ("工作进程被 SIGKILL 终止", LOST.cause)
