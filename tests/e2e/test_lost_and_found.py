"""Tabs, reloads and lost connections: an answer is never lost, repeated or torn."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import APIResponse, Page, Route, expect

pytestmark = pytest.mark.browser

COUNTED = " ".join(map(str, range(120)))
CONVERSATIONS = re.compile(r"/api/conversations(\?|$)")


class Held:
    """The answer to a page's first request of these, kept back until released; later ones pass."""

    def __init__(self, page: Page, address: re.Pattern[str]) -> None:
        self._page = page
        self._kept: list[tuple[Route, APIResponse]] = []
        page.route(address, self._meet)

    def _meet(self, route: Route) -> None:
        if self._kept:
            route.continue_()
        else:
            self._kept.append((route, route.fetch()))

    def wait(self) -> None:
        """Until the request was made and answered."""
        while not self._kept:
            self._page.wait_for_timeout(10)  # runs the handler

    def release(self) -> None:
        [(route, answer)] = self._kept
        route.fulfill(response=answer)


def test_a_reload_in_the_middle_goes_on_where_it_was(serve: Any, visit: Any) -> None:
    seen = visit(serve(answer=COUNTED, token_delay_s=0.01))
    seen.ask("count")
    answer = seen.page.locator(".answer .markdown")
    expect(answer).to_contain_text("0 1 2")
    seen.page.reload()
    expect(answer).to_contain_text("0 1 2")  # the address leads back to the chat
    expect(seen.page.locator(".measurements")).to_have_count(0)
    seen.wait_for_answers(1)
    expect(answer).to_have_text(COUNTED)


def test_a_lost_network_that_returns_costs_nothing(serve: Any, visit: Any, wired: Any) -> None:
    wire = wired(urlsplit(serve(answer=COUNTED, token_delay_s=0.01)).port)
    seen = visit(f"http://127.0.0.1:{wire.port}")
    seen.tolerated = "ERR_"
    seen.ask("count")
    answer = seen.page.locator(".answer .markdown")
    expect(answer).to_contain_text("0 1 2")
    with seen.page.expect_event("websocket"):  # it tries again
        wire.cut()
    wire.join()
    seen.wait_for_answers(1)
    expect(answer).to_have_text(COUNTED)
    expect(seen.page.locator(".failure")).to_have_count(0)


def test_another_tab_shows_what_is_asked_here(echo_url: str, visit: Any) -> None:
    first = visit(echo_url)
    first.ask("from the first")
    first.wait_for_answers(1)
    second = first.page.context.new_page()
    second.goto(first.page.url)
    expect(second.locator(".answer .markdown")).to_have_text("from the first")
    first.ask("and one more")
    first.wait_for_answers(2)
    expect(second.locator(".answer .markdown").last).to_have_text("and one more")
    second.locator(".composer textarea").first.fill("from the second")
    second.keyboard.press("Enter")
    expect(second.locator(".answer .markdown").last).to_have_text("from the second")
    expect(first.page.locator(".question .plain").last).to_have_text("from the second")


def test_what_another_tab_tells_while_this_one_looks_is_seen(echo_url: str, visit: Any) -> None:
    first = visit(echo_url)
    first.ask("from the first")
    first.wait_for_answers(1)
    second = first.page.context.new_page()
    held = Held(second, CONVERSATIONS)
    second.goto(first.page.url)
    held.wait()
    first.ask("and one more")
    first.wait_for_answers(2)
    held.release()
    expect(second.locator(".answer .markdown").last).to_have_text("and one more")


def test_what_another_tab_tells_while_turns_are_fetched_is_seen(echo_url: str, visit: Any) -> None:
    first = visit(echo_url)
    first.ask("from the first")
    first.wait_for_answers(1)
    second = first.page.context.new_page()
    second.goto(first.page.url)
    expect(second.locator(".answer .markdown")).to_have_text("from the first")
    held = Held(second, re.compile(r"/messages"))
    first.ask("the second question")
    first.wait_for_answers(2)
    held.wait()
    with second.expect_response(CONVERSATIONS):
        first.ask("and one more")
        first.wait_for_answers(3)
    held.release()
    expect(second.locator(".answer .markdown").last).to_have_text("and one more")


def test_what_another_tab_tells_during_an_answer_is_seen_after_it(serve: Any, visit: Any) -> None:
    first = visit(serve(answer=COUNTED, token_delay_s=0.02))
    first.ask("count")
    first.page.locator(".answer .markdown", has_text="0 1 2").wait_for()
    second = first.page.context.new_page()
    second.goto(first.page.url)
    expect(second.locator(".answer .markdown")).to_contain_text("0 1 2")
    second.locator(".sidebar .ant-conversations-menu-icon").click()
    second.get_by_role("menuitem", name="Rename").click()
    second.get_by_role("textbox", name="Rename").fill("another name")
    second.keyboard.press("Enter")
    expect(second.locator(".sidebar")).to_contain_text("another name")
    expect(first.page.locator(".measurements")).to_have_count(0)  # still being answered
    first.wait_for_answers(1)
    expect(first.page.locator(".sidebar")).to_contain_text("another name")


def test_two_tabs_follow_one_answer(serve: Any, visit: Any) -> None:
    first = visit(serve(answer=COUNTED, token_delay_s=0.01))
    first.ask("count")
    expect(first.page.locator(".answer .markdown")).to_contain_text("0 1 2")
    second = first.page.context.new_page()
    second.goto(first.page.url)
    second.locator(".measurements").wait_for()
    expect(second.locator(".answer .markdown")).to_have_text(COUNTED)
    first.wait_for_answers(1)
    expect(first.page.locator(".answer .markdown")).to_have_text(COUNTED)


def test_a_link_opens_a_chat_and_back_goes_back(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    seen.ask("linked")
    seen.wait_for_answers(1)
    link = seen.page.url
    assert "#/c/" in link
    seen.page.get_by_role("button", name="New chat").click()
    expect(seen.page.locator(".question")).to_have_count(0)
    seen.page.go_back()
    expect(seen.page.locator(".question .plain")).to_have_text("linked")
    other = visit(link)  # a profile that knows nothing of it
    expect(other.page.locator(".answer .markdown")).to_have_text("linked")


def test_a_link_to_what_is_gone_says_so(echo_url: str, visit: Any) -> None:
    seen = visit(f"{echo_url}/#/c/nothing-here")
    seen.tolerated = "404"
    expect(seen.page.locator(".toast")).to_have_text("This chat is no longer there.")
    seen.ask("hello")
    seen.wait_for_answers(1)


def test_an_idle_page_notices_within_seconds_that_the_server_is_gone(
    serve: Any, visit: Any, wired: Any
) -> None:
    wire = wired(urlsplit(serve()).port)
    seen = visit(f"http://127.0.0.1:{wire.port}")
    seen.tolerated = "ERR_"
    expect(seen.page.locator(".dot.ready")).to_be_visible()
    wire.cut()
    expect(seen.page.locator(".dot.unreachable")).to_be_visible(timeout=8_000)
    expect(seen.page.locator(".banner")).to_contain_text("The server cannot be reached")
    wire.join()
    expect(seen.page.locator(".dot.ready")).to_be_visible()


def test_a_server_gone_in_the_middle_of_an_answer_is_told_at_once(
    serve: Any, visit: Any, wired: Any
) -> None:
    wire = wired(urlsplit(serve(answer=COUNTED, token_delay_s=0.05)).port)
    seen = visit(f"http://127.0.0.1:{wire.port}")
    seen.tolerated = "ERR_"
    seen.ask("count")
    expect(seen.page.locator(".answer .markdown")).to_contain_text("0 1 2")
    wire.cut()
    expect(seen.page.locator(".dot.unreachable")).to_be_visible(timeout=4_000)
    wire.join()
    seen.wait_for_answers(1)
    expect(seen.page.locator(".answer .markdown")).to_have_text(COUNTED)


def test_with_the_server_away_the_chat_can_be_read_and_goes_on_later(
    serve: Any, visit: Any, wired: Any
) -> None:
    wire = wired(urlsplit(serve(answer=COUNTED, token_delay_s=0.002)).port)
    seen = visit(f"http://127.0.0.1:{wire.port}")
    seen.tolerated = "ERR_"
    seen.ask("count")
    seen.wait_for_answers(1)
    wire.cut()
    expect(seen.page.locator(".answer .markdown")).to_have_text(COUNTED)
    seen.ask("once more")
    card = seen.page.locator(".failure")
    expect(card).to_contain_text("The server cannot be reached")
    wire.join()
    expect(seen.page.locator(".dot.ready")).to_be_visible()
    card.get_by_role("button", name="Try again").click()
    seen.wait_for_answers(2)
    expect(seen.page.locator(".answer .markdown").last).to_have_text(COUNTED)
