"""What is no HTTP is refused over a raw connection with a document, and the connection ends."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest

from qwell.core import Delta, Done
from qwell.server import unreadable

pytestmark = pytest.mark.anyio
HOST = b"Host: localhost\r\n"
CHUNKED = HOST + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
SOCKET = HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: dict[str, Any]


async def said_to(url: str, *sent: bytes) -> bytes:
    """All that the server says until it closes. Each piece goes alone."""
    near = urlsplit(url)
    reader, writer = await asyncio.open_connection(near.hostname, near.port)
    for piece in sent:
        writer.write(piece)
        await writer.drain()
    said = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return said


def parsed(said: bytes) -> Answer:
    head, _, body = said.partition(b"\r\n\r\n")
    first, *fields = head.decode("latin-1").split("\r\n")
    headers = dict(field.lower().split(": ", 1) for field in fields)
    return Answer(int(first.split()[1]), headers, json.loads(body))


@pytest.mark.parametrize(
    ("sent", "status", "found"),
    [
        (b"NONSENSE\r\n\r\n", 400, "illegal request line"),
        (b"\x00\x01\x02\xff\r\n\r\n", 400, "illegal request line"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, "illegal header line"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "Host"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400, "Content-Length"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 10**6 + b"\r\n\r\n", 431, "too long"),
        (b"GET /" + b"a" * 10**6 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 431, "too long"),
        (b"POST /api/chat HTTP/1.1\r\n" + CHUNKED + b"xyz\r\n{}\r\n", 400, "chunk"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n", 501, "chunked"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 512, 400, "TLS"),
        (b"GET /ws/chat HTTP/1.1\r\n" + SOCKET + b"\r\n", 400, "Sec-WebSocket-Key"),
        (b"POST /ws/chat HTTP/1.1\r\n" + SOCKET + b"\r\n", 405, "POST"),
        (b"GET /ws/chat HTTP/1.0\r\n" + SOCKET + b"\r\n", 400, ""),
    ],
    ids=lambda value: value[:24].decode("latin-1") if isinstance(value, bytes) else None,
)
async def test_it_is_told_what_was_wrong_and_closed(
    make_app: Any, served: Any, sent: bytes, status: int, found: str
) -> None:
    async with served(make_app()) as url:
        answer = parsed(await said_to(url, sent))
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert "content-security-policy" in answer.headers
    assert answer.body["type"] == "/faults/request-unreadable"
    assert answer.body["status"] == status
    assert found in answer.body["detail"]
    assert answer.body["expected"]
    assert answer.body["fix"]
    assert answer.body["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("line", [b"xyz\r\n", b"-1\r\n"])
async def test_clients_of_an_api_get_its_shape_and_readers_their_language(
    make_app: Any, served: Any, line: bytes
) -> None:
    asked = b"POST /v1/chat/completions HTTP/1.1\r\nAccept-Language: zh\r\n"
    async with served(make_app()) as url:
        body = parsed(await said_to(url, asked + CHUNKED, line))
        head = parsed(await said_to(url, asked + b"no colon\r\n\r\n"))
    for answer in (body, head):
        assert answer.body["error"]["fault"] == "request-unreadable"
        assert "不是 HTTP 请求" in answer.body["error"]["message"]
        assert answer.headers["x-request-id"]


async def test_after_a_request_that_was_answered(make_app: Any, served: Any) -> None:
    async with served(make_app()) as url:
        said = await said_to(url, b"GET /health HTTP/1.1\r\n" + HOST + b"\r\nNONSENSE\r\n\r\n")
    first, _, second = said.partition(b"HTTP/1.1 400 ")
    assert first.startswith(b"HTTP/1.1 200 ")
    assert b"request-unreadable" in second


async def test_it_has_its_line_in_the_log_and_its_place_in_the_metrics(
    make_app: Any, served: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with served(make_app()) as url, httpx.AsyncClient() as client:
        answer = parsed(await said_to(url, b"NONSENSE secret\r\n\r\n"))
        metrics = (await client.get(f"{url}/metrics")).text
    [line] = [it for it in caplog.records if it.getMessage() == "unreadable request"]
    assert line.__dict__["request_id"] == answer.body["request_id"]
    assert "secret" not in caplog.text
    assert 'method="other",route="none",status="400"} 1' in metrics


async def test_what_still_comes_is_not_waited_for(
    make_app: Any, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unreadable, "LINGER_S", 0.05)
    async with served(make_app()) as url:
        near = urlsplit(url)
        reader, writer = await asyncio.open_connection(near.hostname, near.port)
        writer.write(b"NONSENSE\r\n\r\nGET /health HTTP/1.1\r\n" + HOST + b"\r\n")
        said = await asyncio.wait_for(reader.read(), 10)
        while True:
            writer.write(b"more")  # fails as soon as the connection is gone
            try:
                await asyncio.wait_for(writer.drain(), 10)
            except ConnectionError:
                break
            await asyncio.sleep(0)
    assert said.count(b"HTTP/1.1 400") == 1
    assert b"HTTP/1.1 200" not in said


async def test_in_the_middle_of_an_answer_the_connection_is_cut(
    make_app: Any, served: Any, worker: Any, question: Any
) -> None:
    worker.script = (Delta("one "), worker.PAUSE, Delta("two"), Done("stop"))
    async with served(make_app()) as url, httpx.AsyncClient() as client:
        stream = (await client.post(f"{url}/api/streams", json=question)).json()["stream"]
        near = urlsplit(url)
        reader, writer = await asyncio.open_connection(near.hostname, near.port)
        asked = f"GET /api/streams/{stream} HTTP/1.1\r\nAccept: text/event-stream\r\n"
        writer.write(asked.encode() + CHUNKED)
        said = await asyncio.wait_for(reader.readuntil(b"one "), 10)
        writer.write(b"xyz\r\n")
        said += await asyncio.wait_for(reader.read(), 10)
        writer.close()
        worker.go()
        whole = await client.get(f"{url}/api/streams/{stream}", params={"from": 0})
    assert said.count(b"HTTP/1.1 ") == 1
    assert b"two" not in said
    assert whole.is_success
