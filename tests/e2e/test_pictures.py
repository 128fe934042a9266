"""What the page looks like, against pictures that somebody has looked at.

In both languages, both colours and two sizes: the beginning, a conversation, an error, the
doctor's panel. Each as a picture, and as what a screen reader is told. QWELL_RECORD_PICTURES=1
writes them anew, to be looked at before they are committed.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import socket
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, WebSocketRoute, expect
from tests.e2e.conftest import Visit, running_server, until
from tests.e2e.picture_compare import compare

pytestmark = pytest.mark.browser

FOLDER = Path(__file__).parent / "pictures"
SEEN = Path(__file__).parents[2] / "build" / "pictures"  # of runs that saw something else
IS_RECORDED = os.environ.get("QWELL_RECORD_PICTURES") == "1"
LOCALES = {"zh": "zh-CN", "en": "en-US"}
SIZES = {"desktop": (1280, 800), "phone": (360, 740)}
QUESTIONS = {
    "zh": "写一个反转链表的 Python 函数。",
    "en": "Write a Python function that reverses a linked list.",
}
ANSWERS = {name: (FOLDER / f"answer.{name}.md").read_text(encoding="utf-8") for name in LOCALES}
MEASURED = {  # another each time
    "zh": ["首 token 142 ms", "84.7 token/秒", "183 token", "提示 39"],
    "en": ["first token 142 ms", "84.7 tok/s", "183 tokens", "prompt 39"],
}
# of the thread its end: how much of it is drawn depends on where it stands
TOLD = (
    ".sidebar",
    ".page-header",
    ".beginning",
    ".turn >> nth=-1",
    ".composer",
    ".doctor-tabs",
    ".doctor-view",
)
AT_END = """() => {
  const it = document.querySelector(".thread");
  return it.scrollHeight - it.scrollTop - it.clientHeight < 2;
}"""
TO_END = {"zh": "回到最新消息", "en": "Go to the newest message"}
FAILED = {  # in the server's words, which are tested where they are written
    "zh": {
        "cause": "引擎报告 RuntimeError：没有内存",
        "fix": "重新发送消息；若仍出错，运行 `qwell doctor`",
    },
    "en": {
        "cause": "the engine raised RuntimeError: no memory",
        "fix": "send the message again; if it fails again, run `qwell doctor`",
    },
}


@pytest.fixture(scope="module")
def url_of_answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    answers = {question: ANSWERS[name] for name, question in QUESTIONS.items()}
    script = {"answers": answers, "fail_after": 3, "when": "explode"}
    log = tmp_path_factory.mktemp("pictures") / "serve.log"
    with running_server(port, log, "--engine", "scripted", **script) as url:
        yield url


@pytest.fixture
def fresh_url(url_of_answers: str) -> str:
    """Without the conversations of the pictures before."""
    base = f"{url_of_answers}/api/conversations"
    with urllib.request.urlopen(base, timeout=30) as response:
        kept = json.load(response)["conversations"]
    for conversation in kept:
        delete = urllib.request.Request(f"{base}/{conversation['id']}", method="DELETE")
        urllib.request.urlopen(delete, timeout=30).close()
    return url_of_answers


class Gallery:
    """The pictures of one visit; complains at the end of all that differ."""

    def __init__(self, page: Page, language: str, scheme: str, size: str) -> None:
        self._page = page
        self._language = language
        self._scheme = scheme
        self._size = size
        self.complaints: list[str] = []

    def look(self, view: str) -> None:
        """At what is shown now, once it has come to rest."""
        self._page.evaluate("document.fonts.ready.then(() => 0)")
        self._page.mouse.move(0, 0)
        self._page.locator(".measurements").evaluate_all(
            "(all, words) => all.forEach(it => "
            "[...it.children].forEach((part, n) => { part.textContent = words[n] }))",
            MEASURED[self._language],
        )
        until(self._page, AT_END)
        expect(self._page.get_by_role("button", name=TO_END[self._language])).to_have_count(0)
        shot = self._page.screenshot(animations="disabled")
        self._compare_picture(f"{view}.{self._language}.{self._scheme}.{self._size}.png", shot)
        parts = [
            part.aria_snapshot() for part in map(self._page.locator, TOLD) if part.is_visible()
        ]
        self._compare_told(f"{view}.{self._language}.{self._size}.yml", "\n".join(parts) + "\n")

    def _compare_picture(self, name: str, shot: bytes) -> None:
        actual = Image.open(io.BytesIO(shot)).convert("RGB")
        if IS_RECORDED:
            actual.save(FOLDER / name, optimize=True)
        difference = compare(Image.open(FOLDER / name), actual)
        if difference.is_visible:
            SEEN.mkdir(parents=True, exist_ok=True)
            actual.save(SEEN / name)
            self.complaints.append(f"{name}: {difference}; seen: {SEEN / name}")

    def _compare_told(self, name: str, told: str) -> None:
        file = FOLDER / name
        if IS_RECORDED:
            file.write_text(told, encoding="utf-8")
        if told != file.read_text(encoding="utf-8"):
            self.complaints.append(f"{name} is now:\n{told}")


@pytest.mark.parametrize(
    ("language", "scheme", "size"), list(itertools.product(LOCALES, ("light", "dark"), SIZES))
)
def test_the_page_looks_as_it_should(
    fresh_url: str, visit: Any, language: str, scheme: str, size: str
) -> None:
    width, height = SIZES[size]
    seen: Visit = visit(
        fresh_url,
        locale=LOCALES[language],
        color_scheme=scheme,
        viewport={"width": width, "height": height},
        has_touch=size == "phone",
        reduced_motion="reduce",
        before=lambda page: set_the_scene(page, language),
    )
    page = seen.page
    gallery = Gallery(page, language, scheme, size)
    expect(page.locator(".dot.ready")).to_be_attached()
    gallery.look("welcome")

    seen.ask(QUESTIONS[language])
    seen.wait_for_answers(1)
    page.locator(".katex-display mfrac, .katex-display .mop").first.wait_for()
    page.locator(".hljs-keyword").first.wait_for()
    gallery.look("conversation")

    seen.ask("please explode now")
    page.locator(".failure .failure-ways").wait_for()
    expect(page.locator(".failure p")).to_have_count(4)  # the catalogue's words come a moment later
    gallery.look("error")

    page.locator(".dot-button").click()
    page.locator(".log-input").wait_for()
    expect(page.locator(".layer-dot:is(.pass, .warn)")).to_have_count(1)  # warn: a busy machine
    gallery.look("doctor")
    assert not gallery.complaints, "\n".join(gallery.complaints)


def set_the_scene(page: Page, language: str) -> None:
    """What depends on the machine and the day is what it is on most."""
    page.route("**/api/incidents", lambda route: route.fulfill(json={"open": 0, "incidents": []}))
    page.route_web_socket("**/ws/chat", worded(language))


def worded(language: str) -> Callable[[WebSocketRoute], None]:
    """Passes what the server says; an error in fixed words."""

    def connect(socket: WebSocketRoute) -> None:
        def pass_on(message: str | bytes) -> None:
            event = json.loads(message)
            if event["type"] == "error":
                event |= {**FAILED[language], "request_id": "0123456789abcdef-1"}
            socket.send(json.dumps(event))

        socket.connect_to_server().on_message(pass_on)

    return connect


CHANGES = {
    "a part that is missing": "document.querySelector('.composer').style.visibility = 'hidden'",
    "a moved column": "document.querySelector('.turns').style.paddingLeft = '60px'",
    "other colours": "document.documentElement.dataset.theme = 'dark'",
    "code without its frame": "document.querySelector('.code-block').replaceWith('')",
    "an overflow": "document.querySelector('.markdown table').style.width = '900px'",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_people_see_is_seen(fresh_url: str, visit: Any, change: str) -> None:
    seen, before = conversation(fresh_url, visit)
    seen.page.evaluate(CHANGES[change])
    assert compare(before, picture(seen.page)).is_visible


def test_another_font_is_no_change(fresh_url: str, visit: Any) -> None:
    seen, before = conversation(fresh_url, visit)
    seen.page.evaluate("document.querySelector('.page').style.fontFamily = 'Noto Sans CJK SC'")
    assert not compare(before, picture(seen.page)).is_visible


def conversation(url: str, visit: Any) -> tuple[Visit, Image.Image]:
    seen: Visit = visit(url, locale="zh-CN", viewport={"width": 1280, "height": 800})
    seen.ask(QUESTIONS["zh"])
    seen.wait_for_answers(1)
    seen.page.locator(".katex-display .mop").first.wait_for()
    seen.page.locator(".hljs-keyword").first.wait_for()
    return seen, picture(seen.page)


def picture(page: Page) -> Image.Image:
    return Image.open(io.BytesIO(page.screenshot(animations="disabled")))
