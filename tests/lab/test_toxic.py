"""The bad habits of the proxy, met over real sockets."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from qwell.lab.rig.toxic import toxic


class Echo(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def echo() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def post(port: int, body: bytes) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/api/chat", body)
        return connection.getresponse().read()
    finally:
        connection.close()


def test_without_a_habit_everything_comes_through(echo: int) -> None:
    with toxic(echo) as port:
        assert post(port, b"x" * 300_000) == b"x" * 300_000


def test_slices_are_the_same_bytes(echo: int) -> None:
    with toxic(echo, slice_bytes=7) as port:
        assert post(port, bytes(range(256))) == bytes(range(256))


def test_a_limit_cuts(echo: int) -> None:
    with toxic(echo, limit_bytes=200) as port, pytest.raises(http.client.IncompleteRead):
        post(port, b"x" * 5000)


def test_a_reset_is_an_error(echo: int) -> None:
    with (
        toxic(echo, limit_bytes=200, reset=True) as port,
        pytest.raises((http.client.IncompleteRead, ConnectionResetError)),
    ):
        post(port, b"x" * 5000)


def test_a_request_is_rewritten(echo: int) -> None:
    with toxic(echo, rewrite=lambda body: {"n": body["n"] + 1}) as port:
        assert json.loads(post(port, b'{"n": 1}')) == {"n": 2}


def test_what_is_no_ascii_is_garbled(echo: int) -> None:
    with toxic(echo, garble=True) as port:
        assert "\ufffd" in post(port, "caf\u00e9 au lait".encode()).decode("utf-8", "replace")
