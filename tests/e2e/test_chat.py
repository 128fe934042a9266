"""Chatting in a real browser: asking, reading along, stopping, coming back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocket, expect

pytestmark = pytest.mark.browser


def test_a_question_is_answered(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    seen.ask("**hello** world")
    seen.wait_for_answers(1)
    expect(seen.page.locator(".answer .markdown")).to_have_text("hello world")
    expect(seen.page.locator(".answer strong")).to_have_text("hello")
    expect(seen.page.locator(".question")).to_have_text("**hello** world")
    expect(seen.page.locator(".measurements")).to_contain_text("tok/s")
    expect(seen.page.locator("h1")).to_have_text("scripted")


def test_text_shows_before_the_answer_has_ended_and_can_be_stopped(serve: Any, visit: Any) -> None:
    whole = " ".join(map(str, range(400)))
    seen = visit(serve(answer=whole, token_delay_s=0.02))
    seen.ask("go on")
    expect(seen.page.locator(".answer .markdown")).to_contain_text("0 1")
    expect(seen.page.locator(".measurements")).to_have_count(0)
    seen.page.get_by_role("button", name="Stop the answer").click()
    expect(seen.page.locator(".notice")).to_have_text("Stopped.")
    seen.wait_for_answers(1)
    text = seen.page.locator(".answer .markdown").inner_text()
    assert whole.startswith(text)
    assert len(text) < len(whole)


def test_several_turns_send_the_history(echo_url: str, visit: Any) -> None:
    frames: list[dict[str, Any]] = []

    def listen(page: Page) -> None:
        def note(socket: WebSocket) -> None:
            socket.on("framesent", lambda frame: frames.append(json.loads(frame)))

        page.on("websocket", note)

    seen = visit(echo_url, before=listen)
    for turn, text in enumerate(("one", "two"), start=1):
        seen.ask(text)
        seen.wait_for_answers(turn)
    assert [(it["role"], it["content"]) for it in frames[-1]["messages"]] == [
        ("user", "one"),
        ("assistant", "one"),
        ("user", "two"),
    ]


def test_an_answer_can_be_asked_for_again(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    seen.ask("again")
    seen.wait_for_answers(1)
    seen.page.get_by_role("button", name="Answer again").click()
    seen.wait_for_answers(1)
    expect(seen.page.locator(".answer")).to_have_count(1)
    expect(seen.page.locator(".answer .markdown")).to_have_text("again")


def test_reloading_keeps_the_conversation(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    seen.ask("remember me")
    seen.wait_for_answers(1)
    seen.page.reload()
    seen.page.locator(".sidebar").get_by_text("remember me").click()
    expect(seen.page.locator(".answer .markdown")).to_have_text("remember me")


def test_conversations_are_renamed_deleted_and_brought_back(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    seen.ask("first name")
    seen.wait_for_answers(1)
    sidebar = seen.page.locator(".sidebar")
    sidebar.locator(".ant-conversations-menu-icon").click()
    seen.page.get_by_role("menuitem", name="Rename").click()
    seen.page.get_by_role("textbox", name="Rename").fill("second name")
    seen.page.keyboard.press("Enter")
    expect(sidebar).to_contain_text("second name")
    sidebar.locator(".ant-conversations-menu-icon").click()
    seen.page.get_by_role("menuitem", name="Delete").click()
    expect(sidebar).not_to_contain_text("second name")
    seen.page.get_by_role("button", name="Undo").click()
    expect(sidebar).to_contain_text("second name")


def test_shift_enter_breaks_the_line_and_enter_sends(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    seen.input.press_sequentially("one")
    seen.page.keyboard.press("Shift+Enter")
    seen.input.press_sequentially("two")
    expect(seen.page.locator(".question")).to_have_count(0)
    seen.page.keyboard.press("Enter")
    expect(seen.page.locator(".question .plain")).to_have_text("one\ntwo", use_inner_text=True)
    seen.wait_for_answers(1)


def test_an_input_methods_enter_does_not_send(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    seen.input.focus()
    devtools = seen.page.context.new_cdp_session(seen.page)
    devtools.send(
        "Input.imeSetComposition", {"text": "huancun", "selectionStart": 7, "selectionEnd": 7}
    )
    key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229}
    devtools.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **key})
    devtools.send("Input.insertText", {"text": "缓存"})
    devtools.send("Input.dispatchKeyEvent", {"type": "keyUp", **key})
    expect(seen.input).to_have_value("缓存")
    expect(seen.page.locator(".question")).to_have_count(0)
    seen.page.keyboard.press("Enter")
    expect(seen.page.locator(".question")).to_have_text("缓存")
    seen.wait_for_answers(1)


def test_the_reader_is_not_pulled_down(serve: Any, visit: Any) -> None:
    seen = visit(serve(answer="\n\n".join(map(str, range(300))), token_delay_s=0.004))
    seen.ask("long")
    thread, lines = seen.page.locator(".thread"), seen.page.locator(".answer p")
    lines.nth(60).wait_for(state="attached")
    assert thread.evaluate("element => element.scrollTop") > 0
    thread.evaluate("element => { element.scrollTop = 0 }")
    lines.nth(lines.count() + 20).wait_for(state="attached")
    assert thread.evaluate("element => element.scrollTop") == 0
    seen.page.get_by_role("button", name="Stop the answer").click()
    seen.wait_for_answers(1)
