"""A connection too many is told so; one that says nothing is closed and lets others in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from qwell.server import connections
from qwell.server.connections import Patience

pytestmark = pytest.mark.anyio


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """At most three connections, which may be silent for ever."""
    with monkeypatch.context() as patched:
        patched.setattr(connections, "MAX_CONNECTIONS", 3)
        patched.setattr(connections, "CROWDED_SILENCE_S", 1e9)
        yield


async def silent(url: str, stack: AsyncExitStack, n: int) -> list[asyncio.StreamReader]:
    """Connections on which nothing is said."""
    near, readers = urlsplit(url), []
    for _ in range(n):
        reader, writer = await asyncio.open_connection(near.hostname, near.port)
        stack.callback(writer.close)
        readers.append(reader)
    return readers


@pytest.mark.usefixtures("few")
async def test_a_connection_too_many_is_told_why_and_closed(make_app: Any, served: Any) -> None:
    async with served(make_app()) as url, AsyncExitStack() as idle:
        await silent(url, idle, 3)
        async with httpx.AsyncClient() as client:
            page = await client.get(f"{url}/api/conversations")
            api = await client.get(f"{url}/v1/models")
            alive = await client.get(f"{url}/health")
        with pytest.raises(InvalidStatus, match="503"):
            await connect(url.replace("http", "ws") + "/ws/chat")
    assert page.status_code == api.status_code == 503
    assert page.json()["type"] == "/faults/too-many-connections"
    assert "try again in 5 s" in page.json()["fix"]
    assert page.headers["retry-after"] == api.headers["retry-after"] == "5"
    assert page.headers["connection"] == "close"
    assert page.headers["x-request-id"]
    assert api.json()["error"]["fault"] == "too-many-connections"
    assert alive.status_code == 200


async def test_silent_connections_are_closed_with_a_word(
    make_app: Any, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SILENCE_S", 0.1)
    async with served(make_app()) as url, AsyncExitStack() as idle:
        (reader,) = await silent(url, idle, 1)
        said = await asyncio.wait_for(reader.read(), 10)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"request-incomplete" in said


class Line:
    """A connection as the web server keeps it."""

    def __init__(self, cycle: Any = None) -> None:
        self.cycle = cycle
        self.closed = False
        self.transport = SimpleNamespace(write=lambda _: None, close=self.close)

    def close(self) -> None:
        self.closed = True


class Cycle:
    """One request on a connection, as the web server keeps it."""

    def __init__(self, *, is_over: bool) -> None:
        self.response_complete = is_over


def test_only_silence_is_closed() -> None:
    """Not: an answer that takes long, many quick requests, a WebSocket."""
    new, asking, quick = Line(), Line(Cycle(is_over=False)), Line(Cycle(is_over=True))
    now = [0.0]
    patience = Patience([new, asking, quick, object()], lambda: now[0])
    for now[0] in range(0, 100, 10):
        patience.look()
        quick.cycle = Cycle(is_over=True)
    assert (new.closed, asking.closed, quick.closed) == (True, False, False)


def test_when_others_wait_silence_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 1)
    lines, now = [Line(), Line()], [0.0]
    patience = Patience(lines, lambda: now[0])
    patience.look()
    now[0] = 1.5
    patience.look()
    assert all(line.closed for line in lines)
