"""Nothing that a reader has seen moves while more comes, and the answer keeps its place."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect
from tests.e2e.conftest import until

pytestmark = pytest.mark.browser

# everything that could make a page jump: formulas and colours that are loaded, tables that widen
ANSWER = "\n\n".join(
    f"""## Part {n}

Words before \\(a_{n}^2\\) and **after**.

```python
def f{n}(a: int) -> str:
    return "text" + str(a)
```

| a | b |
|--|--:|
| {n} | wide {"wide " * n}|

\\[
\\sum_{{i=1}}^{{{n}}} i
\\]

- one
- two"""
    for n in range(1, 5)
)

# where each block begins in the text, as often as the browser draws; a block that has a follower
# is settled
WATCHED = """() => {
  const seen = window.seen = {tops: new Map(), heights: new Map(), jumps: [], drawn: 0, shifts: 0};
  new PerformanceObserver(list => {
    for (const it of list.getEntries()) seen.shifts += it.hadRecentInput ? 0 : it.value;
  }).observe({type: "layout-shift", buffered: false});
  const look = () => {
    const text = document.querySelector(".answer .markdown");
    if (text) {
      seen.drawn++;
      const top = text.getBoundingClientRect().top;
      const blocks = [...text.children];
      blocks.slice(0, -1).forEach((it, n) => {
        const at = Math.round(it.getBoundingClientRect().top - top);
        const before = seen.tops.get(n);
        if (before !== undefined && Math.abs(before - at) > 1)
          seen.jumps.push(`${n} <${it.tagName} ${it.className}>: ${before} to ${at}`);
        seen.tops.set(n, at);
      });
    }
    requestAnimationFrame(look);
  };
  look();
}"""


def test_what_was_shown_stays_where_it_is(serve: Any, visit: Any) -> None:
    seen = visit(serve(answer=ANSWER, token_delay_s=0.002))
    seen.page.evaluate(WATCHED)
    seen.ask("write much")
    seen.wait_for_answers(1)
    found = seen.page.evaluate("({...seen, tops: seen.tops.size})")
    assert found["jumps"] == []
    assert found["tops"] >= 20
    assert found["drawn"] > 20


def test_the_lines_on_the_screen_stay_for_a_reader_who_scrolled_up(serve: Any, visit: Any) -> None:
    seen = visit(serve(answer=ANSWER, token_delay_s=0.004))
    seen.ask("write much")
    blocks = seen.page.locator(".answer .markdown > *")
    blocks.nth(12).wait_for(state="attached")
    seen.page.locator(".thread").hover()
    seen.page.mouse.wheel(0, -10_000)
    until(seen.page, "document.querySelector('.thread').scrollTop === 0")
    third = blocks.nth(2)
    before = third.bounding_box()
    n = blocks.count()
    blocks.nth(n + 4).wait_for(state="attached")
    assert third.bounding_box() == before
    seen.wait_for_answers(1)
    assert third.bounding_box() == before


def test_the_input_stays_while_stages_come_and_go(serve: Any, visit: Any) -> None:
    seen = visit(serve(answer="word " * 200, token_delay_s=0.002, prompt_delay_s=0.05))
    composer = seen.page.locator(".composer .ant-sender")
    before = composer.bounding_box()
    seen.page.evaluate(
        """() => {
          const box = document.querySelector(".composer .ant-sender");
          window.places = new Set();
          const look = () => {
            const {top, height} = box.getBoundingClientRect();
            places.add(`${Math.round(top)} ${Math.round(height)}`);
            requestAnimationFrame(look);
          };
          look();
        }"""
    )
    seen.ask("hello there, this is a question")
    seen.wait_for_answers(1)
    expect(seen.page.locator(".stage")).to_have_count(0)
    assert composer.bounding_box() == before
    assert seen.page.evaluate("places.size") == 1
