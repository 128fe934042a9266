"""What stands in and under an answer: colours, mathematics, going on, trying again."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect
from tests.e2e.conftest import until

pytestmark = pytest.mark.browser

MATHS = r"""So \(a^2\) and:

\[
\frac{1}{2}
\]

It costs $5 and $6."""


def test_code_is_coloured_while_it_comes(serve: Any, visit: Any) -> None:
    code = "\n".join(f'def f{n}() -> str:\n    return "{n}"' for n in range(30))
    seen = visit(serve(answer=f"```python\n{code}\n```", token_delay_s=0.004))
    seen.ask("write")
    seen.page.locator(".code-block .hljs-keyword").nth(3).wait_for()
    expect(seen.page.locator(".measurements")).to_have_count(0)  # not the end yet
    seen.wait_for_answers(1)
    expect(seen.page.locator(".code-block code")).to_have_text(code, use_inner_text=True)
    expect(seen.page.locator(".code-block .hljs-keyword")).to_have_count(60)


def test_mathematics_is_typeset_with_our_own_fonts(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    seen.ask(MATHS)
    seen.wait_for_answers(1)
    answer = seen.page.locator(".answer .markdown")
    expect(answer.locator(".katex")).to_have_count(2)
    expect(answer.locator(".katex-display mfrac")).to_have_count(1)
    expect(answer).to_contain_text("It costs $5 and $6.")
    until(seen.page, "() => document.fonts.check('12px KaTeX_Main')")
    assert any(address.endswith(".woff2") for address in seen.addresses)


def test_an_answer_that_was_cut_goes_on(serve: Any, visit: Any) -> None:
    whole = "one two three four five six seven"
    seen = visit(serve("--engine", "scripted", "--max-tokens", "10", answer=whole))
    seen.ask("count")
    notice = seen.page.locator(".notice")
    expect(notice).to_contain_text("Continue it")
    expect(seen.page.locator(".answer .markdown")).to_have_text(whole[:10].strip())
    seen.page.get_by_role("button", name="Continue the answer").click()
    expect(seen.page.locator(".turn.assistant .versions")).to_have_text("2/2")
    expect(seen.page.locator(".answer .markdown")).to_have_text(whole[:20].strip())
    seen.page.reload()
    expect(seen.page.locator(".answer .markdown")).to_have_text(whole[:20].strip())


def test_a_loop_offers_livelier_settings(serve: Any, visit: Any) -> None:
    seen = visit(serve(answer="again and " * 400))
    seen.ask("loop")
    expect(seen.page.locator(".notice")).to_contain_text("repeat itself")
    again = seen.page.get_by_role("button", name="Try again with livelier settings")
    frames: list[str] = []
    seen.page.on(
        "websocket", lambda it: it.on("framesent", lambda frame: frames.append(str(frame)))
    )
    again.click()
    expect(seen.page.locator(".turn.assistant .versions")).to_have_text("2/2")
    assert any('"repetition_penalty":1.' in frame for frame in frames)
    again.wait_for()


def test_the_whole_answer_is_copied_as_written(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url, permissions=["clipboard-read", "clipboard-write"])
    seen.ask("**bold** `code`")
    seen.wait_for_answers(1)
    seen.page.locator(".answer-footer").get_by_role("button", name="Copy").click()
    expect(seen.page.locator(".answer-footer").get_by_role("button", name="Copied")).to_be_visible()
    assert seen.page.evaluate("navigator.clipboard.readText()") == "**bold** `code`"
