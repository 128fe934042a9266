"""WCAG AA by axe-core, in both languages, both colours and two sizes, in every kind of view."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SIZES = ((1280, 800), (360, 740))
RICH = """# Title

Text with `code`, **bold** and a [link](https://example.com).

```python
# a comment
def f(a: int) -> str:
    return "text" + str(1)
```

| a | b |
|--|--|
| 1 | 2 |

> quoted

- [x] done

\\(a^2\\)
"""


def violations(page: Page) -> list[str]:
    """Each as rule and the first element; moving parts have come to rest."""
    page.evaluate("Promise.all(document.getAnimations().map(it => it.finished.catch(() => 0)))")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        "rules => axe.run({runOnly: rules}).then(it => it.violations.map("
        "one => `${one.id}: ${one.nodes.map(it => it.html + it.failureSummary).join()}`))",
        RULES,
    )
    return [str(it) for it in found]


@pytest.mark.parametrize(
    ("locale", "scheme", "size"),
    list(itertools.product(("en-US", "zh-CN"), ("light", "dark"), SIZES)),
)
def test_every_view_is_accessible(
    echo_url: str, visit: Any, locale: str, scheme: str, size: tuple[int, int]
) -> None:
    viewport = {"width": size[0], "height": size[1]}
    seen = visit(
        echo_url, locale=locale, color_scheme=scheme, viewport=viewport, reduced_motion="reduce"
    )
    page = seen.page
    found = {"welcome": violations(page)}
    seen.ask(RICH)
    seen.wait_for_answers(1)
    page.locator(".hljs-keyword").first.wait_for()
    page.locator(".katex").first.wait_for()
    found["conversation"] = violations(page)
    seen.ask("please explode now")
    page.locator(".failure .failure-ways").wait_for()
    found["error"] = violations(page)
    page.locator(".composer textarea").first.press_sequentially("/")
    page.get_by_role("listbox").wait_for()
    found["commands"] = violations(page)
    page.keyboard.press("Escape")
    for tab in range(3):
        page.keyboard.press("Control+,")
        page.get_by_role("dialog").get_by_role("tab").nth(tab).click()
        found[f"settings {tab}"] = violations(page)
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
    wrong = [f"{view}: {one}" for view, several in found.items() for one in several]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_under_way_is_accessible(serve: Any, visit: Any, scheme: str) -> None:
    """An answer that waits and one that is written, the panel beside it, a toast, the drawer."""
    url = serve(answer="word " * 2000, token_delay_s=0.3, prompt_delay_s=0.5)
    seen = visit(url, color_scheme=scheme, reduced_motion="reduce")
    page = seen.page
    seen.ask("write much")
    page.locator(".stage").wait_for()
    found = {"waiting": violations(page)}
    expect(page.locator(".answer .markdown")).to_contain_text("word word")
    found["running"] = violations(page)
    page.locator(".dot-button").click()
    page.locator(".log-input").wait_for()
    found["panel"] = violations(page)
    page.get_by_role("tab", name="Checks").click()
    found["checks"] = violations(page)
    page.get_by_role("tab", name="Incidents").click()
    found["incidents"] = violations(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Stop the answer").click()
    seen.wait_for_answers(1)
    found["stopped"] = violations(page)
    page.set_viewport_size({"width": 360, "height": 740})
    page.get_by_role("button", name="Show chats").click()
    page.locator(".ant-drawer .ant-conversations-item").wait_for()
    found["drawer"] = violations(page)
    page.keyboard.press("Escape")
    expect(page.locator(".ant-drawer")).to_have_count(0)
    seen.ask("/clear")
    page.locator(".toast").wait_for()
    found["toast"] = violations(page)
    wrong = [f"{view}: {one}" for view, several in found.items() for one in several]
    assert not wrong, "\n".join(wrong)


def test_the_keyboard_reaches_everything_in_order(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    seen.ask("hello")
    seen.wait_for_answers(1)
    page = seen.page
    page.evaluate("document.activeElement?.blur()")
    names = []
    for _ in range(40):
        page.keyboard.press("Tab")
        names.append(page.evaluate(FOCUSED))
        if names[-1] == "textarea":
            break
    expected = ["New chat", "More", "Search chats", "Theme", "Settings", "Copy", "textarea"]
    assert [name for name in names if name in expected][: len(expected) + 1][-1] == "textarea"
    assert set(expected) <= set(names)
    assert all(it != "invisible" for it in names)


FOCUSED = """() => {
  const element = document.activeElement;
  const box = element.getBoundingClientRect();
  if (box.width === 0 || box.height === 0) return "invisible";
  if (element.matches(".composer textarea")) return "textarea";
  return element.getAttribute("aria-label") ?? element.textContent;
}"""


def test_the_keys_of_the_help_work(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    page = seen.page
    page.keyboard.press("Control+/")
    expect(page.get_by_role("dialog")).to_contain_text("Ctrl + Shift + O")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Control+k")
    expect(page.get_by_role("searchbox", name="Search chats")).to_be_focused()
    seen.ask("hello")
    seen.wait_for_answers(1)
    page.keyboard.press("Control+Shift+O")
    expect(page.locator(".question")).to_have_count(0)
