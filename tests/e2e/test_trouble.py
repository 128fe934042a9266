"""What the page does when something breaks: the answer, the connection, the model."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

pytestmark = pytest.mark.browser

LONG = "".join(f"{n}, " for n in range(200))


def test_a_failed_answer_shows_cause_fix_and_code(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    seen.ask("please explode now")
    card = seen.page.locator(".failure")
    expect(card).to_contain_text("What to do")
    expect(card.locator(".failure-code code")).to_have_count(2)  # the fault and the request
    expect(seen.page.locator(".answer .markdown")).to_have_text("ple")  # what came is kept
    card.get_by_role("button", name="Try again").click()
    expect(seen.page.locator(".turn.assistant .versions")).to_have_text("2/2")
    expect(card).to_be_visible()


def test_a_failure_does_not_end_the_conversation(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    seen.ask("please explode now")
    seen.page.locator(".failure").wait_for()
    seen.ask("and now something else")
    seen.wait_for_answers(1)
    expect(seen.page.locator(".answer .markdown").last).to_have_text("and now something else")


@pytest.mark.parametrize("blocked", [["/ws/chat"], ["/ws/chat", "/api/chat"]])
def test_the_answer_comes_over_what_is_left(echo_url: str, visit: Any, blocked: list[str]) -> None:
    def block(page: Page) -> None:
        page.route_web_socket("**/ws/chat", lambda socket: socket.close())
        for path in blocked[1:]:
            page.route(f"**{path}", lambda route: route.abort())

    seen = visit(echo_url, before=block)
    seen.tolerated = "net::ERR_FAILED"
    seen.ask(LONG)
    seen.wait_for_answers(1)
    expect(seen.page.locator(".answer .markdown")).to_have_text(LONG.strip())


def test_a_stream_that_something_collects_is_given_up_soon(echo_url: str, visit: Any) -> None:
    def block(page: Page) -> None:
        page.route_web_socket("**/ws/chat", lambda socket: socket.close())
        page.route("**/api/chat", lambda _: None)  # nothing of it arrives

    seen = visit(echo_url, before=block)
    seen.ask("hello")
    expect(seen.page.locator(".answer .markdown")).to_have_text("hello", timeout=20_000)


def test_a_dropped_connection_is_resumed_without_loss_or_repetition(
    echo_url: str, visit: Any
) -> None:
    opened: list[str] = []

    def drop(socket: WebSocketRoute) -> None:
        opened.append(socket.url)
        server = socket.connect_to_server()
        passed = 0

        def pass_some(message: str | bytes) -> None:
            nonlocal passed
            passed += 1
            if passed <= 4:
                socket.send(message)
            else:
                socket.close()

        server.on_message(pass_some)

    seen = visit(echo_url, before=lambda page: page.route_web_socket("**/ws/chat", drop))
    seen.ask(LONG)
    seen.wait_for_answers(1)
    expect(seen.page.locator(".answer .markdown")).to_have_text(LONG.strip())
    assert len(opened) > 2


def test_a_model_that_cannot_load_is_explained_and_the_page_stays_usable(
    serve: Any, visit: Any
) -> None:
    seen = visit(serve(load_fault="weights-truncated"))
    seen.tolerated = "503"
    banner = seen.page.locator(".banner")
    expect(banner).to_contain_text("The model cannot answer")
    expect(banner).to_contain_text("weights-truncated")
    expect(banner).to_contain_text("unset QWELL_SCRIPT")
    seen.ask("hello?")
    expect(seen.page.locator(".failure")).to_contain_text("weights-truncated")
    seen.page.get_by_role("button", name="中文").click()
    expect(banner).to_contain_text("模型无法回答")


def test_a_server_that_is_gone_is_named(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    seen.tolerated = "ERR_INTERNET_DISCONNECTED"
    seen.page.context.set_offline(True)
    seen.ask("anyone?")
    expect(seen.page.locator(".failure")).to_contain_text("backend-not-listening")
    seen.page.context.set_offline(False)
    seen.page.get_by_role("button", name="Try again").click()
    seen.wait_for_answers(1)


def test_the_dot_names_the_layer_that_is_in_trouble(echo_url: str, visit: Any) -> None:
    incident = {"layer": "network", "closed": 0}
    closed = {"layer": "engine", "closed": 1_767_225_700}
    body = {"open": 1, "incidents": [incident, closed]}

    def route(page: Page) -> None:
        page.route("**/api/incidents", lambda route: route.fulfill(json=body))

    page = visit(echo_url, before=route, locale="zh-CN").page
    button = page.get_by_role("button", name="网络有问题")
    expect(button.locator(".dot.degraded")).to_be_attached()
    expect(button).not_to_have_accessible_name(re.compile("引擎"))


def test_a_worker_that_dies_shows_at_once_and_asks_for_patience(serve: Any, visit: Any) -> None:
    """The dot follows what happens, not a clock; the card says when to try again."""
    seen = visit(serve(crash_after=2, when="die", load_delay_s=3.0))
    seen.tolerated = "503"
    seen.ask("please die now")
    expect(seen.page.locator(".failure")).to_contain_text("worker-crashed")
    expect(seen.page.locator(".dot:is(.broken, .loading)")).to_be_attached(timeout=3_000)
    expect(seen.page.locator(".dot.ready")).to_be_attached()
    seen.page.get_by_role("button", name="Try again", exact=True).wait_for()
    seen.ask("something else")
    expect(seen.page.locator(".answer .markdown").last).to_have_text("something else")


def test_the_servers_own_words_are_in_the_language_of_the_page(echo_url: str, visit: Any) -> None:
    """Not in the browser's, which may be another."""
    seen = visit(echo_url, locale="en-US")
    seen.page.get_by_role("button", name="中文").click()
    seen.ask("please explode now")
    card = seen.page.locator(".failure")
    expect(card.locator("p").nth(1)).to_contain_text(re.compile("[一-鿿]{4}.*RuntimeError"))
    expect(card).not_to_contain_text("send the message again")
