"""Markdown in the terminal while it grows: what is complete is printed once and stays.

Only the block being written is drawn again, so a long answer costs no more than a short one.
Knows no model and no events.
"""

from __future__ import annotations

import re
import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown
from rich.segment import Segment, Segments

_REDRAW_S = 0.1
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


def settled(text: str) -> int:
    """How much of the text no further text can change: up to the last blank line outside code."""
    end = at = 0
    fence = ""
    for line in text.splitlines(keepends=True):
        at += len(line)
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and not line[mark.end() :].strip():
            fence = ""
        elif not fence and not line.strip() and line.endswith("\n"):
            end = at
    return end


def inert(text: str) -> str:
    """Without characters that would command the terminal instead of being shown."""
    return "".join(c for c in text if c.isprintable() or c in "\n\t")


class PlainStream:
    """Text as it comes: for pipes, files and terminals that cannot draw."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        print(flush=True)

    def write(self, text: str) -> None:
        print(inert(text), end="", flush=True)


class MarkdownStream:
    """Text as markdown, the last block live."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._tail = ""
        self._drawn_at = 0.0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()
        if self._tail.strip():
            self._settle(self._tail)

    def write(self, text: str) -> None:
        self._tail += inert(text)
        if end := settled(self._tail):
            self._live.update("")  # else it would be drawn again below what is settled
            self._settle(self._tail[:end], "\n")  # and the blank line that settled it
            self._tail = self._tail[end:]
        if time.monotonic() - self._drawn_at > _REDRAW_S:
            self._live.update(Markdown(self._tail), refresh=True)
            self._drawn_at = time.monotonic()

    def _settle(self, text: str, after: str = "") -> None:
        """Print for good, without the blank lines that lists and code bring along."""
        lines = self._console.render_lines(Markdown(text), pad=False, new_lines=True)
        shown = [n for n, line in enumerate(lines) if "".join(part.text for part in line).strip()]
        kept = lines[shown[0] : shown[-1] + 1] if shown else []
        parts = [part for line in kept for part in line]
        self._console.print(Segments([*parts, Segment(after)]), end="")


def answer_stream(*, plain: bool = False) -> PlainStream | MarkdownStream:
    """Markdown where standard output is a terminal that can draw, else plain text."""
    console = Console(file=sys.stdout)
    if plain or not console.is_terminal or console.is_dumb_terminal:
        return PlainStream()
    return MarkdownStream(console)
