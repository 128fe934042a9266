"""From a complaint to the verified fix: real faults, the real page, a person who reads and presses.

Each walk is a test. With QWELL_RECORD_WALKS=1 it also writes docs/walks/NAME.LANGUAGE.md with a
screenshot of each step.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from qwell.lab.rig.models import write_folder

pytestmark = pytest.mark.browser

FOLDER = Path(__file__).parents[2] / "docs" / "walks"
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

    def open_panel(self) -> None:
        self.page.get_by_role("button", name=WORDS["open"][self.language]).click()
        self.panel.locator(".log-input").wait_for()

    def say(self, text: str) -> None:
        """Send it, and wait until it is the person's turn again."""
        n = self.panel.locator(".heard").count()
        self.panel.locator(".log-input textarea").fill(text)
        self.page.keyboard.press("Enter")
        self.panel.locator(".heard").nth(n).wait_for()
        self.panel.locator(".card.open, .end, .outcome").last.wait_for(timeout=TURN_MS)

    def expect_diagnosis(self, fault: str) -> None:
        card = self.panel.locator(".diagnosis-card").last
        expect(card.locator(".fault-id")).to_have_text(fault, timeout=TURN_MS)

    def expect_fixed(self) -> None:
        end = self.panel.locator(".end.fixed").last
        expect(end).to_contain_text(WORDS["fixed"][self.language], timeout=TURN_MS)

    def step(self, told: str) -> None:
        """What happened, with a picture of what is seen now."""
        self.n += 1
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

    def start(url: str, name: str, language: Language, title: str) -> Walk:
        # a service worker would hide what is served behind its copy
        how = {"locale": LOCALES[language], "viewport": SIZE, "service_workers": "block"}
        seen = visit(url, **how)
        seen.complaints = _Ignored()
        walk = Walk(seen.page, name, language, title)
        walk.open_panel()
        return walk

    return start


class _Ignored(list[str]):
    """A fault makes the browser complain."""

    def append(self, complaint: str) -> None:
        """Forget it."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


LOG_OF_THE_WORKED_CASE = """\
GET http://127.0.0.1:8000/ net::ERR_CONNECTION_REFUSED
INFO:     Started server process [1]
Traceback (most recent call last):
  File "/app/main.py", line 21, in <module>
    model = AutoModelForCausalLM.from_pretrained("./model")
OSError: Can't load the configuration of './model'. Make sure './model' is the correct path to a \
directory containing a config.json file
"""


@pytest.fixture
def folder_of_an_app() -> Iterator[Path]:
    """Its name is read in the pictures."""
    with tempfile.TemporaryDirectory(prefix="app-") as folder:
        yield Path(folder)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_worked_case(
    begin: Begin,
    folder_of_an_app: Path,
    request: pytest.FixtureRequest,
    language: Language,
) -> None:
    """A blank page, a refused connection, a folder that is empty because nothing was mounted."""
    folder = folder_of_an_app
    model, port = folder / "model", _free_port()
    model.mkdir()
    url = f"http://127.0.0.1:{port}"
    options = (f"--model={model}", f"--port={port}", f"--data-dir={folder}", "--preflight=off")
    server = _serving(folder, options)
    try:
        _wait_for(f"{url}/health")
        walk = _walk_to_the_remedy(begin, url, language)
        server.terminate()
        server.wait(timeout=20)
        _mount(model, request)
        server = _serving(folder, options)  # `docker run` makes a new container
        _wait_for(f"{url}/ready")
        walk.expect_fixed()
        walk.panel.locator(".end.fixed").last.scroll_into_view_if_needed()
        walk.step({"zh": "模型来了，检查变绿", "en": "The model is there: green"}[language])
        _chat(walk)
        walk.end()
    finally:
        server.terminate()
        server.wait(timeout=20)


def _mount(model: Path, request: pytest.FixtureRequest) -> None:
    """What a mount brings: a tiny model of random weights; the real one where people look on."""
    if IS_RECORDED:
        real: Path = request.getfixturevalue("real_gguf")
        (model / real.name).symlink_to(real)
    else:
        write_folder(model)


def _walk_to_the_remedy(begin: Begin, url: str, language: Language) -> Walk:
    title = {"zh": "页面空白：模型目录是空的", "en": "A blank page: the model's folder is empty"}
    walk = begin(url, "worked-case", language, title[language])
    tells = {"zh": "页面空白，日志：", "en": "The page is blank. The log:"}[language]
    walk.say(f"{tells}\n{LOG_OF_THE_WORKED_CASE}")
    expect(walk.panel.locator(".pasted .telling").last).to_contain_text("Can't load the config")
    walk.panel.locator(".heard").first.evaluate(TO_THE_TOP)
    walk.step({"zh": "说出症状，贴日志", "en": "Tell the symptom, paste the log"}[language])
    walk.expect_diagnosis("model-dir-not-mounted")
    remedy = walk.panel.locator(".card.remedy").last
    expect(remedy).to_contain_text(f"-p {urlsplit(url).port}:8000")
    expect(walk.panel).not_to_contain_text("qwell pull")
    walk.panel.locator(".diagnosis-card").last.evaluate(TO_THE_TOP)
    walk.step({"zh": "目录是空的：要挂载", "en": "The folder is empty: mount it"}[language])
    return walk


def _serving(folder: Path, options: Sequence[str]) -> subprocess.Popen[bytes]:
    with (folder / "serve.log").open("ab") as log:
        command = [sys.executable, "-m", "qwell", "serve", *options]
        return subprocess.Popen(command, stdout=log, stderr=log)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_server_that_is_gone(begin: Begin, tmp_path: Path, language: Language) -> None:
    """The page alone says where to look and with which command, and notices when it is back."""
    port = _free_port()
    command = [sys.executable, "-m", "qwell", "serve", "--engine", "scripted", f"--port={port}"]
    command += [f"--data-dir={tmp_path}", "--preflight=off"]

    def start() -> subprocess.Popen[bytes]:
        with (tmp_path / "serve.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        _wait_for(f"http://127.0.0.1:{port}/ready")
        return process

    server = start()
    try:
        title = {"zh": "连接被拒绝：服务没有运行", "en": "Connection refused: nothing runs"}
        walk = begin(f"http://127.0.0.1:{port}", "server-gone", language, title[language])
        server.send_signal(signal.SIGKILL)
        server.wait()
        walk.panel.locator(".log-input textarea").fill(
            {"zh": "没有回答", "en": "No answer"}[language]
        )
        walk.page.keyboard.press("Enter")
        aid = walk.panel.locator(".aid")
        expect(aid).to_contain_text(f"127.0.0.1:{port}", timeout=TURN_MS)
        expect(aid.locator("pre")).to_contain_text(f"qwell serve --port {port}")
        walk.step({"zh": "服务没了，页面自己检查", "en": "The page looks by itself"}[language])
        server = start()
        back = {"zh": "服务器恢复了", "en": "The server is there again"}[language]
        expect(walk.panel.locator(".end.fixed")).to_contain_text(back, timeout=TURN_MS)
        expect(aid).to_have_count(0)
        walk.step({"zh": "服务恢复，自动变绿", "en": "It is back: green"}[language])
        walk.end()
    finally:
        server.terminate()
        server.wait(timeout=20)


def _chat(walk: Walk) -> None:
    """An answer, from the model that has come."""
    walk.page.locator(".composer textarea").first.fill("你好" if walk.language == "zh" else "Hello")
    walk.page.keyboard.press("Enter")
    walk.page.locator(".measurements").wait_for()
    walk.step({"zh": "真的在回答", "en": "It really answers"}[walk.language])


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.1)  # readiness can only be asked for
        else:
            return
    pytest.fail(f"{url} is not there")
