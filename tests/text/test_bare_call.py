"""Calls without tags: any split, same calls; text is not held back longer than it must."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwell.text import ToolCall
from qwell.text.bare_call import CallSplitter

RAIN = '{"name": "rain", "arguments": {"city": "Bonn"}}'
CALL = ToolCall("rain", '{"city": "Bonn"}')


def split(parts: list[str]) -> tuple[str, list[ToolCall]]:
    """Text and calls of an answer that comes in parts."""
    splitter = CallSplitter(["rain", "sun"])
    items = [item for part in parts for item in splitter.push(part)] + splitter.finish()
    text = "".join(item for item in items if isinstance(item, str))
    return text, [item for item in items if isinstance(item, ToolCall)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (RAIN, ("", [CALL])),
        (f"```json\n{RAIN}\n```", ("", [CALL])),
        (f"```\n{RAIN}\n```", ("", [CALL])),
        (f"```json\n{RAIN}\n```\nThat was it.", ("That was it.", [CALL])),
        (f"{RAIN}\n{RAIN}", ("", [CALL, CALL])),
        ('{\n  "name" : "rain",\n  "arguments" : {"city": "Bonn"}\n}', ("", [CALL])),
        (f"<tool_call>\n{RAIN}\n</tool_call>", ("", [CALL])),
        ("Hello.", ("Hello.", [])),
        ('{"name": "snow", "arguments": {}}', ('{"name": "snow", "arguments": {}}', [])),
        ('{"name": "rain"', ('{"name": "rain"', [])),
        ('{"name": "rain", "arguments": 3}', ('{"name": "rain", "arguments": 3}', [])),
        ('```python\nprint("rain")\n```', ('```python\nprint("rain")\n```', [])),
        (f"Here it is: {RAIN}", (f"Here it is: {RAIN}", [])),
        ("", ("", [])),
    ],
)
@given(data=st.data())
def test_calls_and_text_in_any_split(
    answer: str, expected: tuple[str, list[ToolCall]], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(answer)), max_size=6)))
    parts = [answer[a:b] for a, b in pairwise([0, *cuts, len(answer)])]
    assert split(parts) == expected


def test_text_comes_as_soon_as_it_can_be_no_call() -> None:
    splitter = CallSplitter(["rain"])
    assert splitter.push('{"na') == []
    assert splitter.push('ture": ') == ['{"nature":']
    assert splitter.push("1}") == [" 1}"]
