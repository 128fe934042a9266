"""`qwell health` answers with its exit code, whatever proxy is configured."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

NOT_READY = {"title": "Model still loading", "detail": "40%", "fix": "wait"}


class Sick(BaseHTTPRequestHandler):
    """Lives, but is not ready."""

    def do_GET(self) -> None:
        is_alive = self.path == "/health"
        body = {"status": "ok"} if is_alive else NOT_READY
        self.send_response(200 if is_alive else 503)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        """The test's output stays readable."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Sick) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_living_server_is_healthy(qwell: Any, url: str) -> None:
    done = qwell("health", "--url", url)
    assert (done.returncode, done.stdout) == (0, f"{url}/health: ok\n")


def test_readiness_is_asked_for_and_its_fix_is_shown(qwell: Any, url: str) -> None:
    done = qwell("health", "--ready", "--url", url)
    assert done.returncode == 1
    assert "503 Model still loading: 40%; fix: wait" in done.stdout


def test_port_comes_from_the_settings(qwell: Any, url: str) -> None:
    assert qwell("health", QWELL_PORT=url.rpartition(":")[2]).returncode == 0


def test_a_proxy_is_not_asked_for_this_machine(qwell: Any, url: str) -> None:
    done = qwell("health", "--url", url, http_proxy="http://127.0.0.1:9")
    assert done.returncode == 0


def test_no_server_is_unhealthy_without_a_traceback(qwell: Any, free_port: int) -> None:
    done = qwell("health", "--url", f"http://127.0.0.1:{free_port}")
    assert done.returncode == 1
    assert "no answer" in done.stdout
    assert "fix: start it with `qwell serve`" in done.stdout
    chinese = qwell("health", "--url", f"http://127.0.0.1:{free_port}", "--lang", "zh")
    assert "没有应答" in chinese.stdout
    assert "Traceback" not in done.stderr


def test_a_file_is_no_server(qwell: Any) -> None:
    assert qwell("health", "--url", "file:///etc/hostname").returncode == 2
