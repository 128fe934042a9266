"""Tool calls without their tags: an answer that begins with the JSON of a call, fenced or not.

Qwen2.5-Coder answers so more often than not. Only a call of a known tool is one; all other text
goes through as it comes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from qwell.text.tool_calls import (
    Arguments,
    CallBegun,
    Item,
    ObjectEnd,
    ToolCallParser,
    begun_call,
    whole_call,
)

_FENCES = ("```json", "```")
_FENCE = re.compile(r"```(json)?\s*")


class BareCallParser:
    """Holds an answer back for as long as it may still be a call; sees those that begin it.

    names      of the tools on offer
    is_begun   the answer has begun before, with text
    """

    def __init__(self, names: Iterable[str], *, is_begun: bool = False) -> None:
        self._names = frozenset(names)
        self._beginnings = tuple(f'{{"name":{json.dumps(name)}' for name in self._names)
        self._held: str | None = None if is_begun else ""  # None: it is text, whatever comes
        self._arguments: ObjectEnd | None = None  # while those of a call come
        self._due: tuple[str, ...] = ()  # after them: what belongs to the call, where it comes
        self._after_call = False

    def push(self, text: str) -> list[Item]:
        """What became final with this text."""
        if self._held is None:
            return [text] if text else []
        self._held += text
        found: list[Item] = []
        while self._held is not None and (items := self._next(self._held)):
            found += items
        return found

    def finish(self) -> list[Item]:
        """The calls that were held back for their form, or the text that turned out to be none."""
        held, self._held = self._held or "", None
        if any(mark.startswith(held.strip()) for mark in self._due):
            return []
        found: list[Item] = []
        while call := self._leading_call(held):
            found += call[0]
            held = call[1]
        return [*found, held] if held else found

    def _next(self, held: str) -> list[Item]:
        """What is final of what is held; nothing, to wait for more."""
        if self._arguments is not None:
            return self._goes_on(self._arguments, held)
        if self._after_call:
            held = self._held = held.lstrip()
        if not self._due:
            return self._begin(held)
        mark = self._due[0]
        if len(held) < len(mark) and mark.startswith(held):
            return []
        self._due = self._due[1:] if held.startswith(mark) else ()
        self._held = held.removeprefix(mark)
        return self._next(self._held)

    def _goes_on(self, end: ObjectEnd, held: str) -> list[Item]:
        n = end.feed(held)
        self._held = held[n:]
        if end.is_found:
            self._arguments = None
        return [Arguments(held[:n], end.is_found)] if n else []

    def _begin(self, held: str) -> list[Item]:
        """A call whose arguments begin, text that is none, or nothing yet."""
        if not self._may_be_call(held):
            self._held = None
            return [held]
        body, is_fenced = _without_fence(held)
        begun = begun_call(body)
        if begun is None or begun[0] not in self._names:
            return []
        name, n = begun
        self._held = body[n:]
        self._arguments = ObjectEnd()
        self._due = ("}", "```") if is_fenced else ("}",)
        self._after_call = True
        return [CallBegun(name)]

    def _may_be_call(self, text: str) -> bool:
        text = text.lstrip()
        if any(fence.startswith(text) for fence in _FENCES):
            return True
        compact = "".join(_FENCE.sub("", text, count=1).split())
        return any(b.startswith(compact) or compact.startswith(b) for b in self._beginnings)

    def _leading_call(self, text: str) -> tuple[list[Item], str] | None:
        """The call that text begins with, and what follows it."""
        start, is_fenced = _without_fence(text)
        if not start or not self._may_be_call(start):
            return None
        try:
            _, end = json.JSONDecoder().raw_decode(start)
        except (ValueError, RecursionError):
            return None
        call = whole_call(start[:end])
        rest = start[end:].lstrip()
        return (call, rest.removeprefix("```").lstrip() if is_fenced else rest) if call else None


def _without_fence(text: str) -> tuple[str, bool]:
    """What stands behind an opening fence, and whether there was one."""
    text = text.lstrip()
    fence = _FENCE.match(text)
    return (text[fence.end() :], True) if fence else (text, False)


class CallSplitter:
    """Text and calls of an answer, the calls with tags or without. As ToolCallParser."""

    def __init__(self, names: Iterable[str], *, is_begun: bool = False) -> None:
        self._bare = BareCallParser(names, is_begun=is_begun)
        self._tagged = ToolCallParser()

    def push(self, text: str) -> list[Item]:
        """What became final with this text."""
        return self._split(self._bare.push(text))

    def finish(self) -> list[Item]:
        """The rest."""
        return [*self._split(self._bare.finish()), *self._tagged.finish()]

    def _split(self, items: list[Item]) -> list[Item]:
        split: list[Item] = []
        for item in items:
            split += self._tagged.push(item) if isinstance(item, str) else [item]
        return split
