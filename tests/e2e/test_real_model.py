"""The page with the real weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.weights]


def test_the_model_answers_in_both_languages(serve: Any, visit: Any, real_gguf: Path) -> None:
    seen = visit(serve("--model", str(real_gguf)))
    expect(seen.page.locator("h1")).to_contain_text("Qwen2.5", ignore_case=True)
    seen.page.set_default_timeout(120_000)
    seen.ask("What is the capital of France? Answer with one word.")
    seen.wait_for_answers(1)
    expect(seen.page.locator(".answer .markdown")).to_contain_text("Paris")
    seen.ask("请用中文再说一遍。")
    seen.wait_for_answers(2)
    expect(seen.page.locator(".answer .markdown").last).to_contain_text("巴黎")
