"""Settings: what answers are asked with, in one chat and in new ones; how the page connects."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Request, WebSocket, expect

pytestmark = pytest.mark.browser


class Asked:
    """What the page sends, whichever way."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.ways: list[str] = []

    def listen(self, page: Page) -> None:
        page.on("websocket", self._socket)
        page.on("request", self._request)

    def _socket(self, socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: self._take("websocket", frame))

    def _request(self, request: Request) -> None:
        ways = {"/api/chat": "sse", "/api/streams": "poll"}
        way = next((it for path, it in ways.items() if request.url.endswith(path)), None)
        if way:
            self._take(way, request.post_data)

    def _take(self, way: str, text: Any) -> None:
        self.ways.append(way)
        self.bodies.append(json.loads(text))


def opened(page: Page, tab: str) -> Locator:
    page.locator("textarea").first.wait_for()  # before that nobody listens to keys
    page.keyboard.press("Control+,")
    dialog = page.get_by_role("dialog", name="Settings")
    dialog.get_by_role("tab", name=tab).click()
    return dialog.get_by_role("tabpanel", name=tab)


def close(page: Page) -> None:
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Settings")).to_have_count(0)


def test_a_chat_keeps_its_settings(echo_url: str, visit: Any) -> None:
    asked = Asked()
    seen = visit(echo_url, before=asked.listen)
    settings = opened(seen.page, "This chat")
    settings.get_by_label("System prompt").fill("Be brief.")
    settings.get_by_role("spinbutton", name="Temperature").fill("0.3")
    settings.get_by_role("spinbutton", name="Longest answer").fill("77")
    close(seen.page)
    seen.ask("hello")
    seen.wait_for_answers(1)
    expected = {"sampling": {"temperature": 0.3}, "max_tokens": 77}
    assert asked.bodies[-1].items() >= expected.items()
    assert asked.bodies[-1]["messages"][0] == {"role": "system", "content": "Be brief."}
    (kept,) = conversations(echo_url)
    assert kept["settings"] == {"system": "Be brief."} | expected

    seen.page.evaluate("localStorage.clear()")  # now it can come from the server only
    seen.page.reload()
    expect(seen.page.locator(".question .plain")).to_have_text("hello")
    settings = opened(seen.page, "This chat")
    expect(settings.get_by_label("System prompt")).to_have_value("Be brief.")
    expect(settings.get_by_role("spinbutton", name="Temperature")).to_have_value("0.30")
    settings.get_by_role("button", name="Reset all").click()
    close(seen.page)
    seen.ask("again")
    seen.wait_for_answers(2)
    assert (asked.bodies[-1]["sampling"], asked.bodies[-1].get("max_tokens")) == ({}, None)


def conversations(url: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{url}/api/conversations", timeout=30) as response:
        found: list[dict[str, Any]] = json.load(response)["conversations"]
    return found


def test_defaults_and_presets_hold_for_new_chats(echo_url: str, visit: Any) -> None:
    asked = Asked()
    seen = visit(echo_url, before=asked.listen)
    settings = opened(seen.page, "New chats")
    settings.get_by_role("spinbutton", name="Top-k").fill("5")
    settings.get_by_role("textbox", name="Name of the preset").fill("mine")
    settings.get_by_role("button", name="Save as preset").click()
    settings.get_by_role("button", name="Model default").click()
    close(seen.page)
    seen.ask("without")
    seen.wait_for_answers(1)
    assert asked.bodies[-1]["sampling"] == {}
    seen.page.reload()
    settings = opened(seen.page, "New chats")
    settings.get_by_role("button", name="mine", exact=True).click()
    close(seen.page)
    seen.page.get_by_role("button", name="New chat").click()
    seen.ask("with")
    seen.wait_for_answers(1)
    assert asked.bodies[-1]["sampling"] == {"top_k": 5}


@pytest.mark.parametrize(
    ("label", "way"), [("Server-sent events", "sse"), ("Long polling", "poll")]
)
def test_the_chosen_connection_is_used(echo_url: str, visit: Any, label: str, way: str) -> None:
    asked = Asked()
    seen = visit(echo_url, before=asked.listen)
    page = opened(seen.page, "Page")
    page.get_by_role("radio", name=label).check()
    close(seen.page)
    seen.ask("hello")
    seen.wait_for_answers(1)
    assert asked.ways == [way]


def test_a_key_is_given_in_the_settings(serve: Any, visit: Any) -> None:
    seen = visit(serve("--engine", "scripted", "--api-key", "open-sesame"))
    seen.tolerated = "401"
    page = opened(seen.page, "Page")
    field = page.get_by_label("API key")
    for key, outcome in (("wrong", "refuses"), ("open-sesame", "right")):
        field.fill(key)
        page.get_by_role("button", name="Use key").click()
        expect(page.locator(".settings-outcome")).to_contain_text(outcome)
    close(seen.page)
    seen.ask("hello")
    seen.wait_for_answers(1)
