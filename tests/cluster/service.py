"""The service on a Ray cluster, and readers who take up what breaks off."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import URL

START_S = 60.0
ENOUGH = 6  # answers in a row, of two fronts that take turns


class Service:
    """The cluster in a process of its own; `order` waits until it is obeyed."""

    def __init__(self, port: int, process: subprocess.Popen[str]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._process = process

    def expect(self, word: str) -> None:
        """Read up to the word: Ray writes among what the program says."""
        assert self._process.stdout is not None
        while (line := self._process.stdout.readline()).strip() != word:
            assert line, "the cluster has ended"

    async def order(self, order: str) -> None:
        assert self._process.stdin is not None
        print(order, file=self._process.stdin, flush=True)
        await asyncio.to_thread(self.expect, "done")


@contextmanager
def running(
    database: URL, folder: Path, environ: Mapping[str, str], *arguments: str
) -> Iterator[Service]:
    """The program three_nodes.py with these arguments, until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {
        "QWELL_DATABASE_URL": database.render_as_string(hide_password=False),
        "QWELL_DATA_DIR": str(folder),
    }
    program = str(Path(__file__).with_name("three_nodes.py"))
    process = subprocess.Popen(
        [sys.executable, program, str(port), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | own | environ,
    )
    service = Service(port, process)
    try:
        service.expect("ready")
        _wait_until_ready(service.url)
        yield service
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)
        assert process.stdout is not None
        process.stdout.close()


def _wait_until_ready(url: str) -> None:
    """Engines write on the board once a second, and each front reads it for itself."""
    patience = time.monotonic() + START_S
    in_a_row = 0
    transport = httpx.HTTPTransport(retries=5)
    with httpx.Client(base_url=url, transport=transport, timeout=60) as client:
        with client.stream("POST", "/api/chat", json=question("hi")) as answer:
            answer.read()
        while in_a_row < ENOUGH:
            assert time.monotonic() < patience, "the fronts are not ready"
            in_a_row = in_a_row + 1 if client.get("/ready").status_code == 200 else 0
            time.sleep(0.1)  # readiness can only be asked for


def question(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


async def events_of(
    client: httpx.AsyncClient, body: dict[str, Any], speaks: asyncio.Event | None = None
) -> list[dict[str, Any]]:
    """As a page reads: what breaks off is taken up by number. speaks: set once there is text."""
    events: list[dict[str, Any]] = []
    n_breaks = await read(client.stream("POST", "/api/chat", json=body), events, speaks)
    while events[-1]["type"] not in ("done", "error"):
        path = f"/api/streams/{events[0]['stream']}?from={len(events)}"
        accept = {"Accept": "text/event-stream"}
        n_breaks += await read(client.stream("GET", path, headers=accept), events, speaks)
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert [event["type"] in ("done", "error") for event in events].count(True) == 1
    BREAKS[events[0]["stream"]] = n_breaks
    return events


BREAKS: dict[str, int] = {}  # how often a stream's connection broke


async def read(
    answer: AbstractAsyncContextManager[httpx.Response],
    events: list[dict[str, Any]],
    speaks: asyncio.Event | None,
) -> int:
    """Adds to the events; 1 when the connection broke before the end."""
    try:
        async with answer as response:
            if response.status_code >= 500 and events:  # no front has taken over yet
                await asyncio.sleep(0.2)
                return 1
            assert response.status_code == 200, await response.aread()
            async for line in response.aiter_lines():
                events += [json.loads(line[5:])] if line.startswith("data:") else []
                if speaks and events and events[-1]["type"] == "delta":
                    speaks.set()
    except httpx.TransportError:
        assert events, "an answer that had not begun was lost"
        return 1
    return int(events[-1]["type"] not in ("done", "error"))


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(event["text"] for event in events if event["type"] == "delta")


def clients(service: Service) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=service.url, timeout=60)


async def stored(client: httpx.AsyncClient, conversation: str) -> list[dict[str, Any]]:
    response = await client.get(f"/api/conversations/{conversation}/messages")
    messages: list[dict[str, Any]] = response.json()["messages"]
    return messages
