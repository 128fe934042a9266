"""Tool calls without their tags: an answer that begins with the JSON of a call, fenced or not.

Qwen2.5-Coder answers so more often than not. Only a call of a known tool is one; all other text
goes through as it comes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from qwell.text.tool_calls import ToolCall, ToolCallParser, parsed_call

_FENCES = ("```json", "```")
_FENCE = re.compile(r"```(json)?\s*")


class BareCallParser:
    """Holds an answer back for as long as it may still be a call; sees one that begins it.

    names   of the tools on offer
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._beginnings = tuple(f'{{"name":{json.dumps(name)}' for name in names)
        self._held: str | None = ""  # None: it is text, whatever comes

    def push(self, text: str) -> list[str | ToolCall]:
        """What became final with this text."""
        if self._held is None:
            return [text] if text else []
        self._held += text
        if self._may_be_call(self._held):
            return []
        text, self._held = self._held, None
        return [text]

    def finish(self) -> list[str | ToolCall]:
        """The calls that were held back, or the text that turned out to be none."""
        held, self._held = self._held or "", None
        found: list[str | ToolCall] = []
        while call := self._leading_call(held):
            found.append(call[0])
            held = call[1]
        return [*found, held] if held else found

    def _may_be_call(self, text: str) -> bool:
        text = text.lstrip()
        if any(fence.startswith(text) for fence in _FENCES):
            return True
        compact = "".join(_FENCE.sub("", text, count=1).split())
        return any(b.startswith(compact) or compact.startswith(b) for b in self._beginnings)

    def _leading_call(self, text: str) -> tuple[ToolCall, str] | None:
        """The call that text begins with, and what follows it."""
        fence = _FENCE.match(text.lstrip())
        start = text.lstrip()[fence.end() :] if fence else text.lstrip()
        if not start or not self._may_be_call(start):
            return None
        try:
            _, end = json.JSONDecoder().raw_decode(start)
        except (ValueError, RecursionError):
            return None
        call = parsed_call(start[:end])
        rest = start[end:].lstrip()
        return (call, rest.removeprefix("```").lstrip() if fence else rest) if call else None


class CallSplitter:
    """Text and calls of an answer, the calls with tags or without. As ToolCallParser."""

    def __init__(self, names: Iterable[str]) -> None:
        self._bare = BareCallParser(names)
        self._tagged = ToolCallParser()

    def push(self, text: str) -> list[str | ToolCall]:
        """What became final with this text."""
        return self._split(self._bare.push(text))

    def finish(self) -> list[str | ToolCall]:
        """The rest."""
        return [*self._split(self._bare.finish()), *self._tagged.finish()]

    def _split(self, items: list[str | ToolCall]) -> list[str | ToolCall]:
        split: list[str | ToolCall] = []
        for item in items:
            split += self._tagged.push(item) if isinstance(item, str) else [item]
        return split
