"""Calls without tags: any split, same calls; text is not held back longer than it must."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwell.text import Arguments, CallBegun
from qwell.text.bare_call import CallSplitter

RAIN = '{"name": "rain", "arguments": {"city": "Bonn"}}'
CALL = ("rain", '{"city": "Bonn"}')


def split(parts: list[str]) -> tuple[str, list[tuple[str, str]]]:
    """Text and calls of an answer that comes in parts."""
    splitter = CallSplitter(["rain", "sun"])
    items = [item for part in parts for item in splitter.push(part)] + splitter.finish()
    text = "".join(item for item in items if isinstance(item, str))
    calls: list[tuple[str, str]] = []
    for item in items:
        if isinstance(item, CallBegun):
            calls.append((item.name, ""))
        elif isinstance(item, Arguments):
            calls[-1] = (calls[-1][0], calls[-1][1] + item.text)
    return text, calls


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
        (
            '{"arguments": {"city": "Bonn"}, "name": "rain"}',
            ('{"arguments": {"city": "Bonn"}, "name": "rain"}', []),
        ),
        ('{"name": "rain"}', ("", [("rain", "{}")])),
        (RAIN[:-8], ("", [("rain", '{"city": ')])),
        (RAIN[:-1], ("", [CALL])),
        (f"{RAIN} and on", ("and on", [CALL])),
        (f"```json\n{RAIN}\nand on", ("and on", [CALL])),
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
    answer: str, expected: tuple[str, list[tuple[str, str]]], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(answer)), max_size=6)))
    parts = [answer[a:b] for a, b in pairwise([0, *cuts, len(answer)])]
    assert split(parts) == expected


def test_text_comes_as_soon_as_it_can_be_no_call() -> None:
    splitter = CallSplitter(["rain"])
    assert splitter.push('{"na') == []
    assert splitter.push('ture": ') == ['{"nature":']
    assert splitter.push("1}") == [" 1}"]


def test_arguments_come_as_they_are_written() -> None:
    splitter = CallSplitter(["rain"])
    assert splitter.push('{"name": "rain", "arguments": ') == []
    assert splitter.push('{"city": ') == [
        CallBegun("rain"),
        Arguments('{"city": ', is_last=False),
    ]
    assert splitter.push('"Bonn"}') == [Arguments('"Bonn"}', is_last=True)]
    assert splitter.push("}") == []
    assert splitter.finish() == []
