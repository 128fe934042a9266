"""Tool calls in a Qwen2.5 answer: ``<tool_call>{"name": ..., "arguments": {...}}</tool_call>``.

Reads text as it streams. Knows nothing of the tools on offer and never runs one.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from qwell.text.decoder import held_back

OPEN, CLOSE = "<tool_call>", "</tool_call>"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """arguments is a JSON object as text, as OpenAI's API carries it."""

    name: str
    arguments: str


class ToolCallParser:
    """Splits an answer into text and calls, in order.

    Text goes through as it comes; what could be a call is held back until it is one. A call that
    is malformed or cut off comes back as the text it was. White space around calls is dropped
    where no text follows it.
    """

    def __init__(self) -> None:
        self._held = ""
        self._after_call = False  # nothing but white space since the last call

    def push(self, text: str) -> list[str | ToolCall]:
        """What became final with this text."""
        self._held += text
        found: list[str | ToolCall] = []
        while (item := self._next()) is not None:
            found.append(item)
        return found

    def finish(self) -> list[str | ToolCall]:
        """The rest. An unfinished call is text, though there may be whole calls inside it."""
        found: list[str | ToolCall] = []
        while OPEN in self._held:
            found += [self._give_up_call(), *self.push("")]
        if self._held and not (self._after_call and self._held.isspace()):
            found.append(self._take(len(self._held)))
        self._held = ""
        return found

    def _next(self) -> str | ToolCall | None:
        """The next final text or call at the front of what is held, or None to wait."""
        start = self._held.find(OPEN)
        if start < 0:
            open_part = held_back(self._held, (OPEN,))
            return self._take(len(self._held[: len(self._held) - open_part].rstrip())) or None
        if self._held[:start].strip():
            return self._take(len(self._held[:start].rstrip()))
        return self._call(start + len(OPEN))

    def _call(self, start: int) -> str | ToolCall | None:
        """The call whose body begins at start, its opening as text if it is none, or None."""
        body = self._held[start:]
        if body.lstrip() and not body.lstrip().startswith("{"):
            return self._give_up_call()
        end = body.find(CLOSE)
        while end >= 0:
            call = parsed_call(body[:end])
            if call is not None:
                self._held = body[end + len(CLOSE) :]
                self._after_call = True
                return call
            if not _is_inside_string(body[:end]):
                return self._give_up_call()
            end = body.find(CLOSE, end + 1)
        return None

    def _give_up_call(self) -> str:
        """The text up to and including an opening tag that opens no call."""
        return self._take(self._held.index(OPEN) + len(OPEN))

    def _take(self, n: int) -> str:
        text, self._held = self._held[:n], self._held[n:]
        if text:
            self._after_call = False
        return text


def parsed_call(body: str) -> ToolCall | None:
    """The call that a JSON text is; None if it is none."""
    try:
        call = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    if not isinstance(call, dict):
        return None
    name, arguments = call.get("name"), call.get("arguments", {})
    if not (isinstance(name, str) and name and isinstance(arguments, dict)):
        return None
    return ToolCall(name, json.dumps(arguments, ensure_ascii=False))


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _is_inside_string(body: str) -> bool:
    """Whether a JSON text ends within a string, where a closing tag is only characters."""
    return re.sub(r"\\.", "", body, flags=re.DOTALL).count('"') % 2 == 1
