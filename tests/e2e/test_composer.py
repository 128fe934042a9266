"""Writing: commands, earlier messages, drafts, files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

LOG = """2026-01-01 10:00:00 INFO starting
2026-01-01 10:00:01 ERROR OSError: Can't load config for './model'.
2026-01-01 10:00:02 ERROR [Errno 98] Address already in use
"""


def test_a_slash_offers_commands(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    seen.input.press_sequentially("/")
    menu = seen.page.get_by_role("listbox", name="Commands")
    expect(menu.get_by_role("option")).to_have_count(9)
    seen.input.press_sequentially("se")
    expect(menu.get_by_role("option")).to_have_text(["/settingsSettings"])
    seen.page.keyboard.press("Escape")
    expect(menu).to_have_count(0)
    seen.input.press_sequentially("t")
    seen.page.keyboard.press("Enter")
    expect(seen.page.get_by_role("dialog", name="Settings")).to_be_visible()
    expect(seen.input).to_have_value("")
    expect(seen.page.locator(".question")).to_have_count(0)


def test_commands_do_what_they_say(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    seen.ask("hello")
    seen.wait_for_answers(1)
    with seen.page.expect_download() as download:
        seen.ask("/export")
    assert download.value.suggested_filename == "hello.md"
    seen.ask("/retry")
    expect(seen.page.locator(".turn.assistant .versions")).to_have_text("2/2")
    seen.wait_for_answers(1)
    seen.ask("/new")
    expect(seen.page.locator(".question")).to_have_count(0)
    seen.page.go_back()
    expect(seen.page.locator(".question .plain")).to_have_text("hello")
    seen.ask("/clear")
    expect(seen.page.locator(".toast")).to_contain_text("Chat deleted")
    seen.ask("/usr/bin is a folder")
    expect(seen.page.locator(".question .plain")).to_have_text("/usr/bin is a folder")
    seen.wait_for_answers(1)


def test_arrow_up_brings_earlier_messages(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    for turn, text in enumerate(("first", "second"), start=1):
        seen.ask(text)
        seen.wait_for_answers(turn)
    seen.input.focus()
    for key, text in (("Up", "second"), ("Up", "first"), ("Up", "first"), ("Down", "second")):
        seen.page.keyboard.press(f"Arrow{key}")
        expect(seen.input).to_have_value(text)
    seen.page.keyboard.press("ArrowDown")
    expect(seen.input).to_have_value("")


def test_each_chat_keeps_its_draft(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    seen.ask("a chat")
    seen.wait_for_answers(1)
    seen.input.fill("for this one")
    seen.page.get_by_role("button", name="New chat").click()
    expect(seen.input).to_have_value("")
    seen.input.fill("for a new one")
    seen.page.reload()
    expect(seen.input).to_have_value("for a new one")
    seen.page.locator(".sidebar").get_by_text("a chat").click()
    expect(seen.input).to_have_value("for this one")


def test_files_go_with_the_message(echo_url: str, visit: Any, tmp_path: Path) -> None:
    seen = visit(echo_url)
    (tmp_path / "notes.txt").write_text("some `` notes\n", encoding="utf-8")
    (tmp_path / "chinese.txt").write_bytes("中文内容".encode("gb18030"))
    (tmp_path / "image.png").write_bytes(b"\x89PNG\r\n\0\0")
    files = seen.page.locator(".composer input[type=file]")
    files.set_input_files([tmp_path / name for name in ("notes.txt", "chinese.txt", "image.png")])
    expect(seen.page.locator(".files li")).to_have_text(["notes.txt", "chinese.txt"])
    expect(seen.page.locator(".toast")).to_have_text("image.png is not a text file.")
    seen.page.get_by_role("button", name="Remove notes.txt").click()
    seen.ask("read this")
    question = seen.page.locator(".question .plain")
    expect(question).to_have_text("read this\n\nchinese.txt:\n```\n中文内容\n```")
    expect(seen.page.locator(".files")).to_have_count(0)
    seen.wait_for_answers(1)


def test_a_dropped_log_goes_to_the_doctor(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    seen.page.evaluate(
        """text => {
          const data = new DataTransfer();
          data.items.add(new File([text], "serve.log"));
          for (const type of ["dragover", "drop"])
            document.body.dispatchEvent(new DragEvent(type, {dataTransfer: data, bubbles: true}));
        }""",
        LOG,
    )
    expect(seen.page.locator(".files li")).to_have_text("serve.log")
    seen.page.get_by_role("button", name="Diagnose it").click()
    expect(seen.page.locator(".side-panel")).to_contain_text("Can't load config for './model'")


PASTE = """([selector, name, text]) => {
  const data = new DataTransfer();
  if (name) data.items.add(new File([text], name));
  else data.setData("text/plain", text);
  const field = document.querySelector(selector);
  field.focus();
  field.dispatchEvent(
    new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}));
}"""


def test_a_pasted_file_goes_with_the_message(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    seen.page.evaluate(PASTE, [".composer textarea", "notes.md", "# pasted"])
    expect(seen.page.locator(".files li")).to_have_text("notes.md")
    expect(seen.input).to_have_value("")
    seen.page.get_by_role("button", name="Send").click()  # a file alone can be sent
    expect(seen.page.locator(".question .plain")).to_contain_text("# pasted")
    seen.wait_for_answers(1)


def test_a_pasted_log_offers_its_diagnosis(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url, permissions=["clipboard-read", "clipboard-write"])
    seen.page.evaluate("text => navigator.clipboard.writeText(text)", LOG)
    seen.input.focus()
    seen.page.keyboard.press("Control+v")
    expect(seen.input).to_have_value(LOG)
    seen.page.get_by_role("button", name="Diagnose it").click()
    panel = seen.page.locator(".side-panel")
    expect(panel.locator(".pasted")).to_contain_text("Can't load config for './model'")


def test_the_chat_goes_on_in_the_language_that_is_switched_to(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    seen.ask("please explode now")
    card = seen.page.locator(".failure")
    expect(card).to_contain_text("The engine failed at this answer")
    seen.input.fill("half a sentence")
    seen.page.get_by_role("button", name="中文").click()
    expect(card).to_contain_text("推理引擎在此回答中出错")
    expect(seen.input).to_have_value("half a sentence")
    frames: list[str] = []
    seen.page.on("websocket", lambda it: it.on("framesent", lambda text: frames.append(str(text))))
    seen.ask("接着说")
    seen.wait_for_answers(1)
    assert json.loads(frames[-1])["lang"] == "zh"


def test_odd_text_stays_in_its_place(echo_url: str, visit: Any) -> None:
    """Right-to-left lines, joined emoji, and words longer than a phone is wide."""
    seen = visit(echo_url, viewport={"width": 360, "height": 740})
    family = "👨‍👩‍👧‍👦"
    seen.ask(f"مرحبا بالعالم\n\nleft {family} to right\n\n{'长' * 30}\n\n{'a' * 60}")
    seen.wait_for_answers(1)
    lines = seen.page.locator(".answer .markdown p")
    expect(lines).to_have_count(4)
    directions = lines.evaluate_all(
        """all => all.map(it => {
          const range = document.createRange();
          range.selectNodeContents(it);
          const text = range.getBoundingClientRect(), box = it.getBoundingClientRect();
          return text.left - box.left > box.right - text.right ? "rtl" : "ltr";
        })"""
    )
    assert directions == ["rtl", "ltr", "ltr", "ltr"]
    expect(lines.nth(1)).to_contain_text(family)
    assert seen.page.evaluate("document.documentElement.scrollWidth") == 360
