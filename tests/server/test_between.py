"""The doctor looks at a real server through what stands between, and names what that does."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI

from qwell.config import Settings
from qwell.doctor import consult
from qwell.doctor.checks import CHECKS
from qwell.doctor.observe import observe, select
from qwell.doctor.system import System

pytestmark = pytest.mark.anyio
NAMES = ("stream_pacing", "stream_plain", "websocket", "body_size")


class Between(ThreadingHTTPServer):
    """A reverse proxy with one bad habit: "", buffers, zips, no-upgrade or small-bodies."""

    habit = ""
    target = ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Between

    def do_GET(self) -> None:
        self._pass_on(None)

    def do_POST(self) -> None:
        n = int(self.headers["Content-Length"])
        if self.server.habit == "small-bodies" and n > 1_000_000:
            self._refuse(413)
            return
        self._pass_on(self.rfile.read(n))

    def _refuse(self, status: int) -> None:
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _pass_on(self, body: bytes | None) -> None:
        is_socket = "websocket" in self.headers.get("Upgrade", "")
        if is_socket and self.server.habit == "no-upgrade":
            self._refuse(400)
            return
        behind = http.client.HTTPConnection(urlsplit(self.server.target).netloc, timeout=10)
        behind.request(self.command, self.path, body, dict(self.headers))
        answer = behind.getresponse()
        self.close_connection = True
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Via", "1.1 between")
        if self._zips():
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        if answer.status != 101:
            self._send_body(answer)
        behind.close()

    def _zips(self) -> bool:
        return self.server.habit == "zips" and "gzip" in self.headers.get("Accept-Encoding", "")

    def _send_body(self, answer: http.client.HTTPResponse) -> None:
        if self._zips():
            self.wfile.write(gzip.compress(answer.read()))
        elif self.server.habit == "buffers":
            self.wfile.write(answer.read())
        else:
            while piece := answer.read1(65536):
                self.wfile.write(piece)
                self.wfile.flush()

    def log_message(self, *_args: Any) -> None:
        """Quiet."""


@pytest.fixture
def between() -> Iterator[Between]:
    server = Between(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    "case",
    [
        ("", "", ""),
        ("buffers", "network.stream_pacing", "proxy-buffering"),
        ("zips", "network.stream_plain", "gzip-buffers-stream"),
        ("no-upgrade", "network.websocket", "ws-upgrade-missing"),
        ("small-bodies", "network.body_size", "proxy-body-too-large"),
    ],
)
async def test_what_stands_between_is_named(
    make_app: Callable[..., FastAPI],
    served: Callable[..., AbstractAsyncContextManager[str]],
    between: Between,
    tmp_path: Path,
    case: tuple[str, str, str],
) -> None:
    habit, check, fault = case
    between.habit = habit
    settings = Settings(data_dir=str(tmp_path / "data"), cache_dir=str(tmp_path / "cache"))
    async with served(make_app(data_dir=settings.data_dir, cache_dir=settings.cache_dir)) as url:
        between.target = url
        system = System(settings, url=f"http://127.0.0.1:{between.server_port}")
        checks = select(CHECKS, names=[f"network.{name}" for name in NAMES])
        findings = await asyncio.to_thread(observe, system, checks)
    report = consult.report(findings)
    assert [finding.check for finding in report.wrong] == ([check] if check else []), report.wrong
    assert [diagnosis["id"] for diagnosis in report.diagnoses] == ([fault] if fault else [])
    assert (report.status == "healthy") is (habit == "")
