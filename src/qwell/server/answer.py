"""One answer put together from its events, for APIs that know only whole ones. Does no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qwell.core import Delta, Done, Event, Failed, Notice, Prefill, Tokens, Usage
from qwell.errors import QwellError
from qwell.server import caller
from qwell.server.problem import worded


@dataclass(slots=True)
class Answer:
    """done is None until the answer has come to its own end."""

    text: str = ""
    logprobs: list[Mapping[str, Any]] = field(default_factory=list)
    tool_calls: list[dict[str, str]] = field(default_factory=list)
    notices: list[dict[str, Any]] = field(default_factory=list)
    tokens: Tokens | None = None
    done: Done | None = None

    def take(self, event: Event) -> None:
        match event:
            case Delta():
                self.text += event.text
                self.logprobs += event.logprobs
                for piece in event.tool_calls:
                    add_piece(self.tool_calls, piece)
            case Notice():
                self.notices.append({"code": event.code, "detail": dict(event.detail)})
            case Tokens():
                self.tokens = event
            case Done():
                self.done = event

    @property
    def usage(self) -> Usage:
        return self.done.usage if self.done else Usage()


def add_piece(calls: list[dict[str, str]], piece: Mapping[str, str]) -> None:
    """Let the last of the calls grow by a piece, or begin another one; see Delta."""
    if "id" in piece:
        calls.append(dict(piece))
    else:
        calls[-1]["arguments"] += piece["arguments"]


def is_first_sign(event: Event) -> bool:
    """Whether the model works on the answer: nothing is refused any more."""
    return isinstance(event, Prefill | Delta | Tokens | Done)


def failure(event: Done | Failed) -> Failed | None:
    """The terminal event as a failure; None for an answer that came to its own end."""
    if isinstance(event, Failed):
        return event
    if event.reason != "cancelled":
        return None
    return Failed(
        code="graceful-shutdown",
        cause="the answer was stopped before its end",
        fix="send the request again",
    )


def failed_with(error: QwellError) -> Failed:
    """An error as the end of an answer."""
    cause = f"{error.found} (expected: {error.expected})"
    return Failed(error.fault, cause=cause, fix=error.fix, retry_after_s=error.retry_after_s)


def message_of(failed: Failed) -> str:
    """What failed and what to do, in the caller's language."""
    failed = worded(failed)
    if caller.language.get() == "zh":
        return f"{failed.cause}。解决办法：{failed.fix}"
    return f"{failed.cause}. Fix: {failed.fix}"
