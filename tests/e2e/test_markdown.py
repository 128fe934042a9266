"""Text that streams in is drawn like the whole, and is never trusted."""

from __future__ import annotations

import random
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

PARTS = [
    "# 标题",
    "一段**粗体**、*斜体*、`代码`和 🙂 [链接](https://example.com/?a=1&b=2)。",
    "1. one\n2. two\n   - nested\n3. three",
    "```python\ndef f(a: list[int]) -> None:\n    print('**no bold**')\n```",
    "| a | b |\n|:--|--:|\n| 1 | 2 |",
    "> quoted\n> twice",
    "a stray vector<int, 5 < 6 > 4, AT&T, &lt;b&gt;",
    "<script>document.title = 'broken'</script><img src=x onerror=\"document.title='broken'\">",
    "[bad](javascript:alert(1)) ![image](https://example.com/x.png)",
    "- [x] done\n- [ ] open",
    "line\n-",
    "***",
]


@pytest.mark.parametrize("seed", range(4))
def test_streamed_text_is_drawn_like_the_whole(echo_url: str, visit: Any, seed: int) -> None:
    parts = list(PARTS)
    random.Random(seed).shuffle(parts)
    seen = visit(echo_url)
    seen.ask("\n\n".join(parts))
    seen.wait_for_answers(1)
    streamed = seen.page.locator(".answer .markdown").inner_html()
    seen.page.reload()  # now it is drawn at once from what is stored
    seen.page.locator(".sidebar .ant-conversations-item").click()
    expect(seen.page.locator(".answer .markdown")).to_be_visible()
    assert seen.page.locator(".answer .markdown").inner_html() == streamed
    assert seen.page.locator(".answer script, .answer .markdown img").count() == 0
    assert seen.page.title() == "qwell"


def test_code_is_copied_as_it_is(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url, permissions=["clipboard-read", "clipboard-write"])
    seen.ask("```\nif a < b:\n    pass\n```")
    seen.wait_for_answers(1)
    seen.page.locator(".code-block").get_by_role("button", name="Copy").click()
    expect(seen.page.locator(".code-block").get_by_role("button", name="Copied")).to_be_visible()
    assert seen.page.evaluate("navigator.clipboard.readText()") == "if a < b:\n    pass"
