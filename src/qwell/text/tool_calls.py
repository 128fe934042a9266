"""Tool calls in a Qwen2.5 answer: ``<tool_call>{"name": ..., "arguments": {...}}</tool_call>``.

Reads text as it streams. Knows nothing of the tools on offer and never runs one.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from qwell.text.decoder import held_back

OPEN, CLOSE = "<tool_call>", "</tool_call>"
# The form in which a call is known, and passed on, before it is complete.
HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)+")\s*,\s*"arguments"\s*:\s*(?=\{)')
_ENDING = " \t\r\n}"  # between the arguments and the tag


@dataclass(frozen=True, slots=True)
class CallBegun:
    """From here on Arguments follow, until one of them is the last."""

    name: str


@dataclass(frozen=True, slots=True)
class Arguments:
    """A piece of a JSON object as text, as the model writes it."""

    text: str
    is_last: bool


Item = str | CallBegun | Arguments


class ToolCallParser:
    """Splits an answer into text and calls, in order.

    Text and arguments go through as they come; what could be a call is held back until its name
    is known and its arguments begin. What never gets so far comes back as the text it was. White
    space around calls is dropped where no text follows it.
    """

    def __init__(self) -> None:
        self._held = ""
        self._after_call = False  # nothing but white space since the last call
        self._arguments: ObjectEnd | None = None  # while those of a call come
        self._closing = False  # after them, until the tag

    def push(self, text: str) -> list[Item]:
        """What became final with this text."""
        self._held += text
        found: list[Item] = []
        while items := self._next():
            found += items
        return found

    def finish(self) -> list[Item]:
        """The rest. A call that never began is text, though there may be whole calls inside it."""
        self._drop_ending()
        found: list[Item] = []
        while OPEN in self._held:
            found += [self._give_up_call(), *self.push("")]
            self._drop_ending()
        if self._held and not (self._after_call and self._held.isspace()):
            found.append(self._take(len(self._held)))
        self._held = ""
        return found

    def _next(self) -> list[Item]:
        """What is final at the front of what is held; nothing, to wait for more."""
        if self._arguments is not None:
            return self._goes_on(self._arguments)
        if self._closing:
            return self._closed()
        start = self._held.find(OPEN)
        if start < 0:
            open_part = held_back(self._held, (OPEN,))
            return self._text(len(self._held[: len(self._held) - open_part].rstrip()))
        if self._held[:start].strip():
            return self._text(len(self._held[:start].rstrip()))
        return self._call(start + len(OPEN))

    def _goes_on(self, end: ObjectEnd) -> list[Item]:
        n = end.feed(self._held)
        piece, self._held = self._held[:n], self._held[n:]
        if end.is_found:
            self._arguments, self._closing = None, True
        return [Arguments(piece, end.is_found)] if piece else []

    def _closed(self) -> list[Item]:
        """Go on behind the end of a call, once all of it is there."""
        rest = self._held.lstrip(_ENDING)
        if len(rest) < len(CLOSE) and CLOSE.startswith(rest):
            return []
        self._held = rest.removeprefix(CLOSE)
        self._closing, self._after_call = False, True
        return self._next()

    def _drop_ending(self) -> None:
        """After the last text: what is held of the end of a call is no text."""
        if self._closing:
            self._held, self._closing = "", False

    def _call(self, start: int) -> list[Item]:
        """The call whose body begins at start, its opening as text if it is none, or nothing."""
        body = self._held[start:]
        if body.lstrip() and not body.lstrip().startswith("{"):
            return [self._give_up_call()]
        if begun := begun_call(body):
            name, n = begun
            self._held = body[n:]
            self._arguments = ObjectEnd()
            return [CallBegun(name)]
        end = body.find(CLOSE)
        while end >= 0:
            if call := whole_call(body[:end]):
                self._held = body[end + len(CLOSE) :]
                self._after_call = True
                return call
            if not _is_inside_string(body[:end]):
                return [self._give_up_call()]
            end = body.find(CLOSE, end + 1)
        return []

    def _give_up_call(self) -> str:
        """The text up to and including an opening tag that opens no call."""
        return self._take(self._held.index(OPEN) + len(OPEN))

    def _text(self, n: int) -> list[Item]:
        return [self._take(n)] if n else []

    def _take(self, n: int) -> str:
        text, self._held = self._held[:n], self._held[n:]
        if text:
            self._after_call = False
        return text


class ObjectEnd:
    """Finds the end of a JSON object that comes in pieces. Does not look whether it is valid."""

    def __init__(self) -> None:
        self.is_found = False
        self._depth = 0
        self._in_string = False
        self._is_escaped = False

    def feed(self, text: str) -> int:
        """How many characters of text belong to the object."""
        for n, character in enumerate(text, start=1):
            self._see(character)
            if self.is_found:
                return n
        return len(text)

    def _see(self, character: str) -> None:
        if self._is_escaped:
            self._is_escaped = False
        elif self._in_string:
            self._is_escaped = character == "\\"
            self._in_string = character != '"'
        elif character == '"':
            self._in_string = True
        elif character in "{[":
            self._depth += 1
        elif character in "}]":
            self._depth -= 1
            self.is_found = self._depth == 0


def begun_call(body: str) -> tuple[str, int] | None:
    """The name of the call that body begins with, and where its arguments begin."""
    head = HEAD.match(body)
    if head is None:
        return None
    try:
        return str(json.loads(head[1])), head.end()
    except ValueError:  # an escape that is none
        return None


def whole_call(body: str) -> list[Item]:
    """The call that a JSON text is, whatever the order of its fields; empty if it is none."""
    try:
        call = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return []
    if not isinstance(call, dict):
        return []
    name, arguments = call.get("name"), call.get("arguments", {})
    if not (isinstance(name, str) and name and isinstance(arguments, dict)):
        return []
    return [CallBegun(name), Arguments(json.dumps(arguments, ensure_ascii=False), is_last=True)]


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _is_inside_string(body: str) -> bool:
    """Whether a JSON text ends within a string, where a closing tag is only characters."""
    return re.sub(r"\\.", "", body, flags=re.DOTALL).count('"') % 2 == 1
