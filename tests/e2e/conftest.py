"""A real server and a real Chromium, and what every visit must hold.

Needs the built page (`make web`). The scripted engine answers, so what comes is known.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
)

from qwell.server.page import BUNDLE

START_S = 120.0  # a cold start with real weights on a busy machine
SEEN_S = 30.0  # for what an open page comes to by itself


def until(page: Page, expression: str) -> None:
    """Wait until the expression is true in the page.

    It is asked from outside: a page that asked itself would need eval, which its policy forbids.
    """
    deadline = time.monotonic() + SEEN_S
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"was not true within {SEEN_S:.0f} s: {expression}"
        page.wait_for_timeout(20)


@dataclass
class Visit:
    """A page, and what it did besides showing something."""

    page: Page
    url: str
    addresses: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)  # of the console, and uncaught errors
    tolerated: str = ""  # complaints that contain this are what the test is about

    @property
    def input(self) -> Locator:
        return self.page.locator(".composer textarea").first  # the second one measures the height

    def ask(self, text: str) -> None:
        self.input.fill(text)
        self.page.keyboard.press("Enter")

    def watch(self) -> None:
        self.page.on("request", lambda request: self.addresses.append(request.url))
        self.page.on("websocket", lambda socket: self.addresses.append(socket.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._note)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "blocked by Playwright" not in message.text:
            self.complaints.append(message.text)

    def wait_for_answers(self, count: int) -> None:
        self.page.locator(".measurements").nth(count - 1).wait_for()

    def check(self) -> None:
        """Nothing but this server was contacted, and the browser had nothing to complain of."""
        own = urlsplit(self.url).netloc
        assert {urlsplit(address).netloc for address in self.addresses} <= {own}
        unexpected = [
            it for it in self.complaints if not self.tolerated or self.tolerated not in it
        ]
        assert unexpected == []


@contextmanager
def running_server(port: int, log: Path, *args: str, **script: Any) -> Iterator[str]:
    """`qwell serve` until the model can answer or has failed for good."""
    own = ("--port", str(port), "--data-dir", str(log.parent / "data"))
    command = [sys.executable, "-m", "qwell", "serve", *own, *args]
    environ = os.environ | {"QWELL_SCRIPT": json.dumps(script)}
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=output)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_settled(url, process, log)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_until_settled(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text(errors="replace")
        if _is_settled(url):
            return
        time.sleep(0.1)  # readiness can only be asked for
    pytest.fail(f"not ready after {START_S} s:\n{log.read_text(errors='replace')}")


def _is_settled(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/ready", timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return b"model-still-loading" not in error.read()
    except OSError:
        return False


Serve = Callable[..., str]
Open = Callable[..., Visit]


@pytest.fixture
def serve(free_port: int, tmp_path: Path) -> Iterator[Serve]:
    """Starts a server of one's own: serve(*args, **script) gives its URL."""
    with ExitStack() as stack:

        def start(*args: str, **script: Any) -> str:
            args = args or ("--engine", "scripted")
            log = tmp_path / "serve.log"
            return stack.enter_context(running_server(free_port, log, *args, **script))

        yield start


@pytest.fixture
def echo_url(echo_server: str) -> str:
    """A shared server without conversations that says what it is told, unless told to explode."""
    base = f"{echo_server}/api/conversations"
    with urllib.request.urlopen(base, timeout=30) as response:
        kept = json.load(response)["conversations"]
    for conversation in kept:
        delete = urllib.request.Request(f"{base}/{conversation['id']}", method="DELETE")
        urllib.request.urlopen(delete, timeout=30).close()
    return echo_server


@pytest.fixture(scope="session")
def echo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    log = tmp_path_factory.mktemp("echo") / "serve.log"
    script = {"token_delay_s": 0.002, "fail_after": 3, "when": "explode"}
    with running_server(port, log, "--engine", "scripted", **script) as url:
        yield url


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """Opens a URL in a profile of its own and watches it: visit(url, locale=..., ...)."""
    assert (BUNDLE / "index.html").is_file(), "the page is not built: run `make web`"
    visits: list[Visit] = []
    contexts: list[BrowserContext] = []

    def open_page(url: str, *, before: Callable[[Page], None] | None = None, **how: Any) -> Visit:
        context = browser.new_context(**({"locale": "en-US", "service_workers": "block"} | how))
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        visit = Visit(page, url)
        visits.append(visit)
        visit.watch()
        if before:
            before(page)
        page.goto(url)
        visit.input.wait_for()
        return visit

    yield open_page
    for context in contexts:
        context.close()
    for made in visits:
        made.check()


class Wire:
    """A wire between browser and server that can be cut and joined.

    Listens on a loopback port and passes bytes to another; cut: drops all, and accepts nobody.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.port = 0
        self.join()

    def join(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Returns when no connection is left."""
        with self._lock:
            listener, self._listener = self._listener, None
            ends, self._open = self._open, set()
        for end in (listener, *ends):
            _shut(end)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                with self._lock:
                    if self._listener is not listener:
                        _shut(near)
                        _shut(far)
                        return
                    self._open |= {near, far}
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=ends, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):  # either end was closed
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            _shut(end)


def _shut(end: socket.socket | None) -> None:
    if end is None:
        return
    with suppress(OSError):  # the other side was faster
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@pytest.fixture
def wired() -> Iterator[Callable[[int], Wire]]:
    """wired(port) is a wire to that port of this machine."""
    wires: list[Wire] = []

    def lay(port: int) -> Wire:
        wires.append(Wire(port))
        return wires[-1]

    yield lay
    for wire in wires:
        wire.cut()
