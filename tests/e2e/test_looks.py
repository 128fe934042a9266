"""Languages, colours and sizes of the page."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def brightness(page: Page) -> int:
    """Of the page's background: 0 is black, 765 white."""
    color = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g)")
    return sum(int(part) for part in color[:3])


def test_colours_follow_the_system(echo_url: str, visit: Any) -> None:
    assert brightness(visit(echo_url, color_scheme="dark").page) < 150
    assert brightness(visit(echo_url, color_scheme="light").page) > 600


def test_the_chosen_colours_are_remembered(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url, color_scheme="light")
    page = seen.page
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("menuitem", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    seen.input.wait_for()
    assert brightness(page) < 150


@pytest.mark.parametrize(
    ("locale", "lang", "button"),
    [("zh-CN", "zh-CN", "新对话"), ("zh-TW", "zh-CN", "新对话"), ("de-DE", "en", "New chat")],
)
def test_the_language_follows_the_browser(
    echo_url: str, visit: Any, locale: str, lang: str, button: str
) -> None:
    page = visit(echo_url, locale=locale).page
    expect(page.get_by_role("button", name=button)).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", lang)


def test_the_chosen_language_is_remembered(echo_url: str, visit: Any) -> None:
    page = visit(echo_url).page
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("button", name="新对话")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="新对话")).to_be_visible()


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_window(echo_url: str, visit: Any, width: int) -> None:
    seen = visit(echo_url, viewport={"width": width, "height": 740})
    seen.ask(f"```\n{'wide ' * 60}\n```\n\n{'unbroken' * 40}")
    seen.wait_for_answers(1)
    thread = seen.page.locator(".thread")
    assert thread.evaluate("element => element.scrollWidth - element.clientWidth") == 0
    assert seen.page.evaluate("document.documentElement.scrollWidth") == width


def test_a_phone_finds_its_conversations_in_a_drawer(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url, viewport={"width": 360, "height": 740}, has_touch=True)
    seen.ask("on the phone")
    seen.wait_for_answers(1)
    seen.page.get_by_role("button", name="Show chats").click()
    drawer = seen.page.locator(".ant-drawer")
    drawer.get_by_role("button", name="New chat").click()
    expect(seen.page.locator(".question")).to_have_count(0)
