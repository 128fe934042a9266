"""Markdown that grows: what is settled stays; nothing commands the terminal."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from qwell.cli.markdown_stream import MarkdownStream, PlainStream, answer_stream, inert, settled

CODE = "Text.\n\n```py\nx = 1\n\n\ny = 2\n```\n\nEnd."


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("", 0),
        ("one line", 0),
        ("a\n\n", 3),
        ("a\n\nb", 3),
        ("a\n\nb\n\nc", 6),
        ("```\na\n\n", 0),
        ("```\na\n\n```\n", 0),
        ("```\na\n\n```\n\n", 12),
        ("````\n```\n\n````\n\nx", 16),
        ("~~~\n```\n\n~~~\n\n", 14),
    ],
)
def test_what_is_settled(text: str, end: int) -> None:
    assert settled(text) == end


@given(st.lists(st.sampled_from(["a", "\n", "\n\n", "```", "- x", " ", "# t\n"])))
def test_more_text_never_unsettles(pieces: list[str]) -> None:
    text = "".join(pieces)
    ends = [settled(text[:n]) for n in range(len(text) + 1)]
    assert ends == sorted(ends)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_whole_text_is_shown_once(size: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=60, color_system=None)
    with MarkdownStream(console) as shown:
        for at in range(0, len(CODE), size):
            shown.write(CODE[at : at + size])
    assert isinstance(console.file, io.StringIO)
    final = console.file.getvalue().split("\x1b[2K")[-1]
    assert console.file.getvalue().count("End.") >= 1
    assert "End." in final


def test_an_answer_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainStream() as shown:
        shown.write("a\x1b]0;owned\x07b\x1b[2Jc\x9b31md\re\tf\n")
    assert capsys.readouterr().out == "a]0;ownedb[2Jc31mde\tf\n\n"


def test_inert_keeps_every_script() -> None:
    assert inert("你好 🙂 é\n") == "你好 🙂 é\n"


def test_a_pipe_gets_plain_text() -> None:
    assert isinstance(answer_stream(), PlainStream)


def test_one_blank_line_stands_between_blocks_however_they_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("qwell.cli.markdown_stream._REDRAW_S", 1e12)  # nothing but what stays
    text = "One.\n\n1. a\n\n2. b\n\n```\nx = 1\n```\n\nTwo.\n"
    console = Console(file=io.StringIO(), force_terminal=True, width=60, color_system=None)
    with MarkdownStream(console) as shown:
        for at in range(0, len(text), 3):
            shown.write(text[at : at + 3])
    assert isinstance(console.file, io.StringIO)
    kept = re.sub(r"\n\x1b\[\?25h\r\x1b\[1A|\x1b\[\??\d+[a-zA-Z]", "", console.file.getvalue())
    lines = [line.strip() for line in kept.split("\n")]
    assert "One.\n\n1 a\n\n2 b\n\nx = 1\n\nTwo." in "\n".join(lines)
