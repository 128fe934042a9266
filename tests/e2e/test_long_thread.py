"""A conversation of 1,000 messages opens at its end and scrolls."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

N = 1000
TEXT = (
    "Some **text** of number {n}.\n\n- one\n- two\n\n```python\nprint({n})\n```\n\n" + "word " * 40
)


def bring_long_chat(url: str) -> None:
    messages = [
        {
            "id": f"m{n}",
            "parent": f"m{n - 1}" if n else None,
            "role": "assistant" if n % 2 else "user",
            "content": TEXT.format(n=n) if n % 2 else f"question {n}",
        }
        for n in range(N)
    ]
    chat = {"id": "long", "title": "long", "messages": messages}
    file = {"format": "qwell-conversations", "version": 1, "conversations": [chat]}
    request = urllib.request.Request(
        f"{url}/api/conversations/import",
        data=json.dumps(file).encode(),
        headers={"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=60).close()


SCROLLED = """async () => {
  const box = document.querySelector(".thread");
  const frames = [];
  let last = performance.now();
  for (let step = 0; step < 120; step++) {
    box.scrollTop -= 400;
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    frames.push(now - last);
    last = now;
  }
  frames.sort((a, b) => a - b);
  return {median: frames[60], high: frames[114], drawn: document.querySelectorAll(".turn").length};
}"""


def test_a_thousand_messages_scroll(echo_url: str, visit: Any) -> None:
    bring_long_chat(echo_url)
    seen = visit(f"{echo_url}/#/c/long")
    page = seen.page
    expect(page.locator(".turn").last).to_contain_text("number 999")
    expect(page.locator(".turn").last).to_be_in_viewport()
    assert page.locator(".turn").count() < 60
    scrolled = page.evaluate(SCROLLED)
    assert scrolled["drawn"] < 60
    assert scrolled["median"] < 100  # ms a frame, on a machine that does other things as well
    expect(page.get_by_role("button", name="Go to the newest message")).to_be_visible()
    page.get_by_role("button", name="Go to the newest message").click()
    expect(page.locator(".turn").last).to_contain_text("number 999")
    seen.ask("one more")
    expect(page.locator(".answer .markdown").last).to_have_text("one more")
    expect(page.locator(".turn").last).to_be_in_viewport()
