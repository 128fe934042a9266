"""Conversations in a real browser: kept, found, branched, taken out and brought in."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.e2e.conftest import until

pytestmark = pytest.mark.browser


def menu(seen: Any, item: str) -> None:
    """Choose from the menu of the only conversation."""
    seen.page.locator(".sidebar .ant-conversations-menu-icon").click()
    seen.page.get_by_role("menuitem", name=item).click()


def kept_by_server(url: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{url}/api/conversations/export", timeout=30) as response:
        conversations: list[dict[str, Any]] = json.load(response)["conversations"]
    return conversations


def test_another_browser_sees_the_conversation_and_goes_on(echo_url: str, visit: Any) -> None:
    first = visit(echo_url)
    first.ask("shared memory")
    first.wait_for_answers(1)
    second = visit(echo_url)
    second.page.locator(".sidebar").get_by_text("shared memory").click()
    expect(second.page.locator(".answer .markdown")).to_have_text("shared memory")
    second.ask("and more")
    second.wait_for_answers(2)
    (conversation,) = kept_by_server(echo_url)
    assert [it["content"] for it in conversation["messages"]] == [
        "shared memory",
        "shared memory",
        "and more",
        "and more",
    ]


def test_an_edited_question_keeps_both_versions(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    seen.ask("first words")
    seen.wait_for_answers(1)
    seen.page.locator(".question").hover()
    seen.page.get_by_role("button", name="Edit").click()
    seen.page.get_by_role("textbox", name="Edit").fill("better words")
    seen.page.locator(".question-editor").get_by_role("button", name="Send").click()
    expect(seen.page.locator(".answer .markdown")).to_have_text("better words")
    expect(seen.page.locator(".versions")).to_have_text("2/2")
    seen.page.get_by_role("button", name="Previous version").click()
    expect(seen.page.locator(".question .plain")).to_have_text("first words")
    expect(seen.page.locator(".answer .markdown")).to_have_text("first words")
    seen.page.reload()
    seen.page.locator(".sidebar .ant-conversations-item").click()
    expect(seen.page.locator(".question .plain")).to_have_text("first words")
    expect(seen.page.locator(".versions")).to_have_text("1/2")


def test_asking_again_keeps_both_answers(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    seen.ask("say it")
    seen.wait_for_answers(1)
    seen.page.get_by_role("button", name="Answer again").click()
    expect(seen.page.locator(".turn.assistant .versions")).to_have_text("2/2")
    (conversation,) = kept_by_server(echo_url)
    assert [it["role"] for it in conversation["messages"]] == ["user", "assistant", "assistant"]


def test_chats_are_found_by_what_was_said(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    seen.ask("什么是缓存命中率")
    seen.wait_for_answers(1)
    seen.page.get_by_role("button", name="New chat").click()
    seen.ask("another matter")
    seen.wait_for_answers(1)
    search = seen.page.get_by_role("searchbox", name="Search chats")
    search.fill("命中")
    items = seen.page.locator(".sidebar .ant-conversations-item")
    expect(items).to_have_count(1)
    items.click()
    expect(seen.page.locator(".question .plain")).to_have_text("什么是缓存命中率")
    search.fill("nowhere")
    expect(seen.page.locator(".sidebar")).to_contain_text("No chat contains this.")
    search.fill("")
    expect(items).to_have_count(2)


def test_a_chat_goes_out_as_a_file_and_comes_in_again(
    echo_url: str, visit: Any, tmp_path: Path
) -> None:
    seen = visit(echo_url)
    seen.ask("keep this")
    seen.wait_for_answers(1)
    for item, suffix in (("Export as Markdown", ".md"), ("Export as JSON", ".json")):
        with seen.page.expect_download() as download:
            menu(seen, item)
        assert download.value.suggested_filename == f"keep this{suffix}"
        download.value.save_as(tmp_path / f"chat{suffix}")
    assert "keep this" in (tmp_path / "chat.md").read_text(encoding="utf-8")
    menu(seen, "Delete")
    seen.page.locator(".sidebar input[type=file]").set_input_files(tmp_path / "chat.json")
    expect(seen.page.locator(".toast")).to_contain_text("1 chat imported")
    seen.page.locator(".sidebar").get_by_text("keep this").click()
    expect(seen.page.locator(".answer .markdown")).to_have_text("keep this")


def test_what_an_earlier_page_kept_in_the_browser_is_brought_in(echo_url: str, visit: Any) -> None:
    old = {
        "id": "0123456789abcdef01234567",
        "title": "from the browser",
        "updatedAt": 1_700_000_000_000,
        "turns": [
            {"id": "q", "role": "user", "content": "old question"},
            {
                "id": "a",
                "role": "assistant",
                "content": "old answer",
                "progress": {"name": "done", "reason": "stop", "usage": None, "timings": None},
                "notices": [],
            },
        ],
    }

    def before(page: Page) -> None:
        key, value = f"qwell.conversation.{old['id']}", json.dumps(old)
        page.add_init_script(f"localStorage.setItem({key!r}, {value!r})")

    seen = visit(echo_url, before=before)
    seen.page.locator(".sidebar").get_by_text("from the browser").click()
    expect(seen.page.locator(".answer .markdown")).to_have_text("old answer")
    until(
        seen.page,
        "() => JSON.parse(localStorage.getItem('qwell.conversation.0123456789abcdef01234567'))"
        ".isUnsaved === false",
    )
    (conversation,) = kept_by_server(echo_url)
    assert [it["content"] for it in conversation["messages"]] == ["old question", "old answer"]


def test_an_answer_is_followed_after_a_reload(serve: Any, visit: Any) -> None:
    whole = " ".join(map(str, range(150)))
    url = serve(answer=whole, token_delay_s=0.01)
    seen = visit(url)
    seen.ask("count")
    expect(seen.page.locator(".answer .markdown")).to_contain_text("0 1")
    seen.page.reload()
    seen.page.locator(".sidebar").get_by_text("count").click()
    seen.wait_for_answers(1)
    expect(seen.page.locator(".answer .markdown")).to_have_text(whole)


def test_without_a_database_the_chat_works_and_says_that_nothing_is_saved(
    serve: Any, visit: Any, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "qwell.db").write_bytes(b"no database" * 1000)
    seen = visit(serve())
    seen.tolerated = "503"
    banner = seen.page.locator(".banner", has_text="database-corrupt")
    expect(banner).to_contain_text("The database is damaged")
    seen.ask("hello")
    seen.wait_for_answers(1)
    expect(seen.page.locator(".notice")).to_contain_text("not saved on the server")
    seen.ask("still there?")
    seen.wait_for_answers(2)
    seen.page.reload()
    seen.page.locator(".sidebar").get_by_text("hello").click()
    expect(seen.page.locator(".answer .markdown").first).to_have_text("hello")
