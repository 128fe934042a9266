"""What one answer has said so far: text, calls, logprobs, and whether it reads like text.

Turns tokens into deltas. Knows nothing of the backend and of when an answer is over, but for
its stop strings.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from qwell.core import Delta, Event, Notice, Request
from qwell.engine.repetition import LoopGuard
from qwell.text import Arguments, CallBegun, IncrementalDecoder, Tokenizer
from qwell.text.bare_call import CallSplitter
from qwell.text.boilerplate import is_boilerplate
from qwell.text.garbled import GarbledWatch, count_marks
from qwell.text.tool_calls import Item


class Transcript:
    """Call `push` for each token of the answer, then `finish` once; both return what to tell.

    has_called  whole tool calls were told, and none is unfinished
    loops       the answer repeats itself
    """

    def __init__(self, tokenizer: Tokenizer, request: Request) -> None:
        self._request = request
        self._decoder = IncrementalDecoder(tokenizer, request.stop)
        names = [tool["function"]["name"] for tool in request.tools]
        is_begun = request.continue_last and bool(request.messages[-1].content.strip())
        self._calls = CallSplitter(names, is_begun=is_begun) if names else None
        self._guard = LoopGuard()
        self._garbled = GarbledWatch()
        self._pieces: list[str] = []
        self._logprobs: list[Mapping[str, Any]] = []  # of tokens whose text is still held back
        self.has_called = False
        self.loops = False

    @property
    def stop(self) -> str | None:
        """The stop string that ended the answer."""
        return self._decoder.hit

    def push(self, token: int, logprob: Mapping[str, Any] | None = None) -> list[Event]:
        """What became final with this token."""
        if logprob is not None:
            self._logprobs.append(logprob)
        self.loops = self._guard.push(token)
        return self._told(self._split(self._decoder.push(token)))

    def finish(self) -> list[Event]:
        """What was held back, and what is odd about the whole."""
        rest = self._split(self._decoder.finish())
        told = self._told(rest + (self._calls.finish() if self._calls else []))
        if self._logprobs:
            told.append(Delta("", self._taken_logprobs()))
        if self._request.messages and is_boilerplate("".join(self._pieces), self._request.messages):
            told.append(Notice("boilerplate-reply"))
        return told

    def _split(self, text: str) -> list[Item]:
        if self._calls is not None:
            return self._calls.push(text)
        return [text] if text else []

    def _told(self, items: list[Item]) -> list[Event]:
        told: list[Event] = []
        for item in items:
            if not isinstance(item, str):
                told.append(Delta("", self._taken_logprobs(), (self._piece(item),)))
                continue
            self._pieces.append(item)
            told.append(Delta(item, self._taken_logprobs()))
            if self._garbled.push(item) and not self._is_about_garbling:
                told.append(Notice("garbled-utf8"))
        return told

    def _piece(self, item: CallBegun | Arguments) -> Mapping[str, str]:
        """The piece of a call as Delta carries it."""
        if isinstance(item, Arguments):
            self.has_called = item.is_last
            return {"arguments": item.text}
        self.has_called = False
        return {"id": f"call_{secrets.token_hex(12)}", "name": item.name, "arguments": ""}

    def _taken_logprobs(self) -> tuple[Mapping[str, Any], ...]:
        logprobs, self._logprobs = self._logprobs, []
        return tuple(logprobs)

    @property
    def _is_about_garbling(self) -> bool:
        """The person asked about such text, or sent some: then the answer may show it."""
        asked = [m.content for m in self._request.messages if m.role == "user"]
        return any(map(count_marks, [*asked, self._request.prompt or ""]))
