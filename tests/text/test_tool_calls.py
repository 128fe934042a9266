"""Tool calls out of streamed text: any split, same calls; what is no call stays text."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwell.text import Arguments, CallBegun, ToolCallParser
from qwell.text.tool_calls import Item

Call = tuple[str, str]  # name, arguments
F: Call = ("f", "{}")
F_TEXT = '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'


def parsed(parts: Iterable[str]) -> list[str | Call]:
    """All that comes out, neighbouring text joined, and each call with its arguments."""
    parser = ToolCallParser()
    items = [item for part in parts for item in parser.push(part)] + parser.finish()
    return joined(items)


def joined(items: Iterable[Item]) -> list[str | Call]:
    """The same answer in as few items as there can be."""
    out: list[str | Call] = []
    for item in items:
        last = out[-1] if out else None
        match item:
            case CallBegun(name):
                out.append((name, ""))
            case Arguments(text):
                assert isinstance(last, tuple)
                out[-1] = (last[0], last[1] + text)
            case str() if isinstance(last, str):
                out[-1] = last + item
            case str():
                out.append(item)
    return out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("just text \n", ["just text \n"]),
        (F_TEXT, [F]),
        (f"Let me see.\n{F_TEXT}", ["Let me see.", F]),
        (f"{F_TEXT}\n{F_TEXT}\n", [F, F]),
        (f"{F_TEXT}\nDone.", [F, "\nDone."]),
        ('<tool_call>{"name": "f"}</tool_call>', [F]),
        (
            '<tool_call>{"arguments": {"城市": "北京", "n": 1.5}, "name": "g"}</tool_call>',
            [("g", '{"城市": "北京", "n": 1.5}')],
        ),
        (
            '<tool_call>{"name": "f", "arguments": {"a": "\\"</tool_call>"}}</tool_call>',
            [("f", '{"a": "\\"</tool_call>"}')],
        ),
        ('<tool_call>{"name": "f", "arguments": {"a": [{}, {"b', [("f", '{"a": [{}, {"b')]),
        (f"{F_TEXT[:-12]} and on", [F, "and on"]),
        (f"{F_TEXT[:-4]}", [F]),
        (f"{F_TEXT[:-12]}{F_TEXT}", [F, F]),
    ],
)
def test_calls_are_found(text: str, expected: list[str | Call]) -> None:
    assert parsed([text]) == expected


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>",
        "a < b <tool_c and more",
        "The <tool_call> tag opens a call and </tool_call> closes it.",
        "<tool_call>{not json}</tool_call>",
        "<tool_call>[]</tool_call>",
        "<tool_call>{}</tool_call> after",
        '<tool_call>{"name": ""}</tool_call>',
        '<tool_call>{"name": "f", "arguments": "text"}</tool_call>',
        '<tool_call>{"arguments": {"a": NaN}, "name": "f"}</tool_call>',
        '<tool_call>{"name": "f"}} </tool_call>',
        '<tool_call>{"name": "f", "argum',
        '\n\n<tool_call>{"name": "f</tool_call> the string never ends',
        "<tool_call>{" + '{"a":' * 5000 + "</tool_call>",
    ],
)
def test_what_is_no_call_stays_text(text: str) -> None:
    assert parsed([text]) == [text]


def test_a_whole_call_after_a_broken_one_is_found() -> None:
    assert parsed([f"<tool_call>{{oops\n{F_TEXT}"]) == ["<tool_call>{oops", F]
    assert parsed([f'<tool_call>{{"oops\n{F_TEXT}']) == ['<tool_call>{"oops', F]


def test_text_streams_before_a_call_and_arguments_as_they_come() -> None:
    parser = ToolCallParser()
    assert parser.push("Let me ") == ["Let me"]
    assert parser.push("look: <tool_") == [" look:"]
    assert parser.push('call>{"name": ') == []
    assert parser.push('"f", "arguments": ') == []
    assert parser.push('{"a": ') == [CallBegun("f"), Arguments('{"a": ', is_last=False)]
    assert parser.push('"}') == [Arguments('"}', is_last=False)]
    assert parser.push('"}}') == [Arguments('"}', is_last=True)]
    assert parser.push("\n</tool_call>") == []
    assert parser.finish() == []


def test_a_call_in_another_order_comes_whole() -> None:
    parser = ToolCallParser()
    assert parser.push('<tool_call>{"arguments": {"a": 1}, "name": ') == []
    assert parser.push('"f"}</tool_call>') == [CallBegun("f"), Arguments('{"a": 1}', is_last=True)]


def test_prose_about_the_tag_is_not_held_back() -> None:
    assert "".join(map(str, ToolCallParser().push("<tool_call> is a tag. "))) == (
        "<tool_call> is a tag."
    )


pieces = st.sampled_from(
    [F_TEXT, "<tool_call>", "</tool_call>", '{"name": "f"}', '"', "{", "\n", " ", "text", "<", "\\"]
)


@given(st.lists(pieces, max_size=10).map("".join), st.lists(st.integers(0, 300), max_size=8))
def test_any_split_gives_the_same(text: str, cuts: list[int]) -> None:
    bounds = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    parts = [text[a:b] for a, b in pairwise(bounds)]
    assert parsed(parts) == parsed([text]) == parsed(text)


@given(st.lists(pieces, max_size=10).map("".join))
def test_no_visible_text_is_lost(text: str) -> None:
    calls = sum(isinstance(item, tuple) for item in parsed([text]))
    shown = "".join(item for item in parsed([text]) if isinstance(item, str))
    if not calls:
        assert shown == text
    else:
        assert shown.count("text") == text.count("text")
