"""What an attacker sends is refused with a document, never a crash, and does nothing else."""

from __future__ import annotations

import ast
import asyncio
import gzip
import json
import logging
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

import qwell.server
from qwell.server.app import create_app
from qwell.server.body_limit import BodyLimit

pytestmark = pytest.mark.anyio
SERVER = Path(qwell.server.__file__).parent
POSTS = ("/api/chat", "/api/streams", "/v1/chat/completions")


def body(content: str = '"hi"', extra: str = "") -> str:
    return f'{{"model": "qwell", "messages": [{{"role": "user", "content": {content}}}]{extra}}}'


def explained(response: httpx.Response) -> str:
    """The fault of a refusal, in whichever of the two shapes."""
    found = response.json()
    return str(found["error"]["fault"] if "error" in found else found["type"].split("/")[-1])


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "sent",
    [
        "[" * 100_000,
        '{"messages":' + "[" * 50_000 + "]" * 50_000 + "}",
        body(extra=', "sampling": ' + '{"a":' * 5_000 + "1" + "}" * 5_000),
        body(extra=', "tools": ' + "[" * 5_000 + "]" * 5_000),
        body(extra=', "max_tokens": ' + "9" * 5_000),
        body(extra=', "max_tokens": 1e999'),
        body(extra=', "seed": -1e999, "sampling": {"seed": 1e999}'),
        body(extra=', "max_tokens": NaN'),
        body(extra=', "stop": Infinity'),
        body(content="-" * 20 + "1"),
        body(content='"\\ud800"'),
        body(extra=', "\\ud800": 1'),
        body(extra=', "model": "\\udfff"'),
        body(content='"\\u0000"', extra=', "x\\u0000": 1'),
        '{"messages": null}',
        "null",
        '"text"',
        "",
        "\x00\xff",
        "{'messages': []}",
    ],
    ids=range(20),
)
async def test_odd_json_is_refused_and_never_a_crash(
    client: httpx.AsyncClient, path: str, sent: str, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Content-Type": "application/json"}
    response = await client.post(path, content=sent.encode("latin-1"), headers=headers)
    assert 400 <= response.status_code < 500, response.text[:200]
    assert explained(response) in ("invalid-request-body", "model-name-unknown")
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "gzip, gzip", "x" * 500])
async def test_a_compressed_body_is_refused_unread(
    client: httpx.AsyncClient, encoding: str, worker: Any
) -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    response = await client.post("/api/chat", content=bomb, headers=headers)
    assert response.status_code == 415
    assert explained(response) == "body-encoded"
    assert len(response.content) < 1000
    assert not worker.requests


async def test_the_body_limit_is_a_setting(make_app: Any, client_of: Any, question: Any) -> None:
    client = client_of(make_app(max_body_mib=1))
    question["messages"][0]["content"] = "x" * (2**20 + 1)
    response = await client.post("/api/chat", json=question)
    assert response.status_code == 413
    assert "--max-body-mib" in response.json()["fix"]


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/assets/../../secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/..%5c..%5csecret.txt",
        "/%2fetc/passwd",
        "//etc/passwd",
        "/assets/%00",
        "/file:///etc/passwd",
        "/" + "a/" * 3000,
        "/" + "a" * 5000,
    ],
)
async def test_no_path_leads_out_of_the_bundle(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(httpx.URL("http://testserver", raw_path=path.encode()))
    assert response.status_code in (400, 404), response.text[:200]
    assert response.headers["content-type"] == "application/problem+json"  # and no file


def changing_routes() -> list[tuple[str, str]]:
    """Every route that can change something, as the application itself lists them."""
    from qwell.config import Settings

    class Nobody:
        status = None

    paths = create_app(Settings(), Nobody()).openapi()["paths"]  # type: ignore[arg-type]  # never started
    changing = {"post", "put", "patch", "delete"}
    return [(m, p) for p, methods in paths.items() for m in methods if m in changing]


@pytest.mark.parametrize(("method", "path"), changing_routes())
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://testserver:9"])
async def test_no_foreign_page_changes_anything(
    client: httpx.AsyncClient, method: str, path: str, origin: str, worker: Any
) -> None:
    response = await client.request(method, path, headers={"Origin": origin}, content=body())
    assert response.status_code == 403
    assert explained(response) == "cors-blocked"
    assert not worker.requests


@pytest.mark.parametrize(("method", "path"), changing_routes())
async def test_every_changing_route_asks_for_the_key(
    make_app: Any, client_of: Any, method: str, path: str
) -> None:
    client = client_of(make_app(api_key="s3cret"))
    assert (await client.request(method, path, content=body())).status_code == 401


def test_the_server_fetches_no_url() -> None:
    """No client of any network protocol is imported, so nothing that is sent can be fetched."""
    clients = {"httpx", "requests", "aiohttp", "urllib.request", "http.client", "ftplib", "urllib3"}
    imported = {
        name
        for file in SERVER.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None) or "", *(a.name for a in node.names)]
    }
    assert not imported & clients


async def test_what_the_worker_said_is_inert_on_the_plain_page(
    client: httpx.AsyncClient, worker: Any
) -> None:
    worker.status.phase = "restarting"
    worker.status.last_words = '<script>alert(1)</script><img src=x onerror="alert(2)">'
    for path in ("/status", "/"):
        text = (await client.get(path)).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "&lt;script&gt;" in text


async def test_a_path_cannot_forge_a_log_line(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    from qwell.log import TextFormatter

    caplog.set_level(logging.INFO, "qwell.server")
    await client.get("/x%0a2026-01-01T00:00:00Z%20ERROR%20forged%1b[31m")
    lines = [TextFormatter().format(record) for record in caplog.records]
    assert any("forged" in line for line in lines)
    assert not any("\n" in line or "\x1b" in line for line in lines)


async def test_answers_of_the_api_stay_with_their_origin(client: httpx.AsyncClient) -> None:
    headers = (await client.get("/version")).headers
    assert headers["cross-origin-resource-policy"] == "same-origin"


async def test_prompts_are_logged_only_when_asked_for(
    make_app: Any, client_of: Any, question: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await client_of(make_app(log_prompts="on")).post("/api/chat", json=question)
    (line,) = [vars(r) for r in caplog.records if r.getMessage() == "answer"]
    assert line["prompt"] == ["user: hi"]
    assert line["answer"] == "你好, world"
    assert json.dumps(line["prompt"])


@pytest.mark.parametrize(
    "frame",
    [
        "[" * 100_000,
        '{"op":' * 50_000,
        '{"op": "chat", "messages": [{"role": "user", "content": "\\ud800"}]}',
        '{"op": "chat", "messages": [], "max_tokens": ' + "9" * 5_000 + "}",
        '{"op": "resume", "stream": "../../etc/passwd", "from": 1e999}',
        b"\x00\xff\xfe",
        "",
    ],
    ids=range(7),
)
async def test_odd_frames_are_answered_and_the_line_stays_open(
    make_app: Any, served: Any, frame: str | bytes
) -> None:
    async with served(make_app()) as url, connect(url.replace("http", "ws") + "/ws/chat") as line:
        await line.send(frame)
        answer = json.loads(await line.recv())
        assert (answer["type"], answer["code"]) == ("error", "invalid-request-body")
        await line.send('{"op": "ping"}')
        assert json.loads(await line.recv()) == {"type": "pong"}


async def test_a_frame_beyond_the_limit_closes_the_line(make_app: Any, served: Any) -> None:
    app = make_app(max_body_mib=1)
    async with served(app) as url, connect(url.replace("http", "ws") + "/ws/chat") as line:
        assert not line.protocol.extensions  # nothing is unpacked here
        await line.send("x" * (2**20 + 1))
        with pytest.raises(ConnectionClosedError, match="1009"):
            await line.recv()


async def test_a_rebound_name_gets_no_line(make_app: Any, served: Any) -> None:
    async with served(make_app()) as url:
        near = urlsplit(url)
        with pytest.raises(InvalidStatus, match="403"):
            await connect(f"ws://evil.example:{near.port}/ws/chat", host=near.hostname)


async def test_a_body_that_stops_coming_is_given_up(make_app: Any, served: Any) -> None:
    app = make_app()
    limit = next(m for m in app.user_middleware if m.cls is BodyLimit)
    limit.kwargs["pause_s"] = 0.1
    async with served(app) as url:
        near = urlsplit(url)
        reader, writer = await asyncio.open_connection(near.hostname, near.port)
        writer.write(
            b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        status = await asyncio.wait_for(reader.readline(), 10)
        writer.close()
    assert b" 408 " in status


async def test_headers_of_any_size_are_not_taken(make_app: Any, served: Any) -> None:
    async with served(make_app()) as url:
        near = urlsplit(url)
        reader, writer = await asyncio.open_connection(near.hostname, near.port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000)
        status = await asyncio.wait_for(reader.readline(), 10)
        writer.close()
    assert b" 431 " in status
