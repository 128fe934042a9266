"""kill -9 of the whole server in the middle of an answer, and what the next one has of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from qwell.server import sse
from qwell.store.journal import FLUSH_EVERY_S

TOKEN_S = 0.01
ANSWER = " ".join(map(str, range(2000)))
BODY = {
    "conversation": "c",
    "parent": None,
    "messages": [{"role": "user", "content": "go on"}],
}


@contextmanager
def server(port: int, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    command = [sys.executable, "-m", "qwell", "serve", "--engine", "scripted"]
    command += ["--port", str(port), "--data-dir", str(folder)]
    script = json.dumps({"answer": ANSWER, "token_delay_s": TOKEN_S})
    with (
        (folder / "serve.log").open("ab") as log,
        subprocess.Popen(command, env=os.environ | {"QWELL_SCRIPT": script}, stderr=log) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        try:
            wait_until_ready(client, process)
            yield process, client
        finally:
            process.kill()


def wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None
        try:
            if client.get("/ready").is_success:
                return
        except httpx.TransportError:
            pass  # it does not listen yet
        time.sleep(0.1)  # readiness can only be asked for
    pytest.fail("not ready")


def read_and_kill(
    process: subprocess.Popen[bytes], client: httpx.Client
) -> list[tuple[float, str]]:
    """What the client saw, with the time it came, of an answer that is cut off."""
    decoder, seen = sse.Decoder(), []
    begun = time.monotonic()
    with client.stream("POST", "/api/chat", json=BODY) as response:
        for piece in response.iter_raw():
            events: list[dict[str, Any]] = [json.loads(it.data) for it in decoder.push(piece)]
            seen += [(time.monotonic(), event.get("text", "")) for event in events]
            if time.monotonic() > begun + 2 and len(seen) > 20:
                process.send_signal(signal.SIGKILL)
                return seen
    pytest.fail("the answer ended too early")


def test_the_next_server_has_all_but_the_last_moment(free_port: int, tmp_path: Path) -> None:
    with server(free_port, tmp_path) as (process, client):
        seen = read_and_kill(process, client)
    killed_at = seen[-1][0]
    with server(free_port, tmp_path) as (_, client):
        question, answer = client.get("/api/conversations/c/messages").json()["messages"]
    # twice the interval: the machine may be busy
    certain = "".join(text for at, text in seen if at < killed_at - 2 * FLUSH_EVERY_S)
    assert question["content"] == "go on"
    assert answer["state"] == "interrupted"
    assert certain
    assert ANSWER.startswith(answer["content"])
    assert answer["content"].startswith(certain)
