"""What walks share: a person at the page, steps with pictures, servers and a real nginx.

With QWELL_RECORD_WALKS=1 each walk also writes docs/walks/NAME.LANGUAGE.md with a screenshot of
each step.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from qwell.lab.rig.nginx import GOOD, Nginx

FOLDER = Path(__file__).parents[3] / "docs" / "walks"
IS_RECORDED = os.environ.get("QWELL_RECORD_WALKS") == "1"
TURN_MS = 30_000  # a whole examination on a busy machine
Language = Literal["zh", "en"]
LOCALES = {"zh": "zh-CN", "en": "en-US"}
SIZE = {"width": 1280, "height": 860}
WORDS = {
    "open": {"zh": "打开诊断", "en": "Open the diagnosis"},
    "fixed": {"zh": "已修好", "en": "Fixed"},
    "whole": {"zh": "整个过程", "en": "The whole case"},
}
# of what scrolls in the page; the page itself stays where it is
TO_THE_TOP = """it => {
  let box = it.parentElement;
  while (!["auto", "scroll"].includes(getComputedStyle(box).overflowY)) box = box.parentElement;
  box.scrollTop += it.getBoundingClientRect().top - box.getBoundingClientRect().top;
}"""


@dataclass
class Walk:
    """title: of the written page. Steps are numbered as they come."""

    page: Page
    name: str
    language: Language
    title: str
    lines: list[str] = field(default_factory=list)
    n: int = 0

    @property
    def panel(self) -> Locator:
        return self.page.locator(".side-panel")

    def words(self, zh: str, en: str) -> str:
        """In the language of the walk."""
        return zh if self.language == "zh" else en

    def open_panel(self) -> None:
        self.page.get_by_role("button", name=WORDS["open"][self.language]).click()
        self.panel.locator(".log-input").wait_for()

    def say(self, zh: str, en: str) -> None:
        """Send it, and wait until it is the person's turn again."""
        text = self.words(zh, en)
        n = self.panel.locator(".heard").count()
        self.panel.locator(".log-input textarea").fill(text)
        self.page.keyboard.press("Enter")
        self.panel.locator(".heard").nth(n).wait_for()
        self.panel.locator(".card.open, .end, .outcome").last.wait_for(timeout=TURN_MS)

    def press(self, name: str) -> None:
        self.panel.get_by_role("button", name=name, exact=True).last.click()

    def expect_answer(self, zh: str, en: str) -> None:
        """Ask in the chat, and see a whole answer."""
        answered = self.page.locator(".measurements")
        n = answered.count()
        self.page.locator(".composer textarea").first.fill(self.words(zh, en))
        self.page.keyboard.press("Enter")
        answered.nth(n).wait_for()

    def show(self, what: Locator) -> None:
        """Scroll it to the top of what scrolls, for the picture."""
        what.evaluate(TO_THE_TOP)

    def expect_diagnosis(self, fault: str) -> None:
        card = self.panel.locator(".diagnosis-card").last
        expect(card.locator(".fault-id")).to_have_text(fault, timeout=TURN_MS)

    def expect_fixed(self, *, after_s: float = 0.0) -> None:
        """after_s: how long the fault must stay away until that counts."""
        end = self.panel.locator(".dialogue .end.fixed").last
        patience = TURN_MS + 1000 * after_s
        expect(end).to_contain_text(WORDS["fixed"][self.language], timeout=patience)
        end.scroll_into_view_if_needed()

    def step(self, zh: str, en: str) -> None:
        """What happened, with a picture of what is seen now."""
        self.n += 1
        told = self.words(zh, en)
        if not IS_RECORDED:
            return
        FOLDER.mkdir(exist_ok=True)
        picture = f"{self.name}.{self.language}.{self.n}.png"
        self.page.screenshot(path=FOLDER / picture, animations="disabled")
        self.lines += [f"## {self.n}. {told}", "", f"![{told}]({picture})", ""]

    def end(self) -> None:
        """Write it down: the steps, and the panel's words at the end."""
        if not IS_RECORDED:
            return
        shown = re.sub(r"\n{2,}", "\n", self.panel.locator(".doctor-view").inner_text()).strip()
        head = [f"# {self.title}", ""]
        tail = [f"## {WORDS['whole'][self.language]}", "", "```text", shown, "```", ""]
        path = FOLDER / f"{self.name}.{self.language}.md"
        path.write_text("\n".join([*head, *self.lines, *tail]), encoding="utf-8")


Begin = Callable[..., Walk]


@pytest.fixture
def begin(visit: Any) -> Begin:
    """Opens the page for a walk; whatever the browser complains of is what the walk is about."""

    def start(url: str, name: str, language: Language, *, title: tuple[str, str]) -> Walk:
        # a service worker would hide what is served behind its copy
        how = {"locale": LOCALES[language], "viewport": SIZE, "service_workers": "block"}
        seen = visit(url, **how)
        seen.complaints = _Ignored()
        return Walk(seen.page, name, language, title[language == "en"])

    return start


class _Ignored(list[str]):
    """A fault makes the browser complain."""

    def append(self, complaint: str) -> None:
        """Forget it."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Program:
    """`qwell serve` with these options, as often as it is started."""

    folder: Path
    port: int
    options: Sequence[str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, route: str = "/ready") -> None:
        """Returns when this route answers with success."""
        own = (f"--port={self.port}", f"--data-dir={self.folder}", "--preflight=off")
        command = [sys.executable, "-m", "qwell", "serve", *own, *self.options]
        with (self.folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(f"{self.url}{route}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=20)
            self.process = None

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """program(*options, folder=...) is a server that is not started yet."""
    with ExitStack() as stack:

        def make(*options: str, folder: Path = tmp_path) -> Program:
            made = Program(folder, _free_port(), options)
            stack.callback(made.stop)
            return made

        yield make


@pytest.fixture
def behind_nginx(
    requires_program: Callable[[str], str], tmp_path: Path
) -> Iterator[Callable[..., Nginx]]:
    """behind_nginx(url, lines) is an nginx before that server, with these lines of a location."""
    requires_program("nginx")
    with ExitStack() as stack:

        def start(server: str, lines: str = GOOD, extra: str = "") -> Nginx:
            target = urlsplit(server).port
            assert target is not None
            folder = tmp_path / f"nginx-{target}"
            folder.mkdir()
            proxy = Nginx(folder, _free_port(), target, lines, extra)
            stack.callback(proxy.stop)
            proxy.start()
            return proxy

        yield start


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.1)  # readiness can only be asked for
        else:
            return
    pytest.fail(f"{url} is not there")
