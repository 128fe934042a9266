"""One answer in OpenAI's JSON: chunks of a stream, or the whole. Does no I/O."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from qwell.core import Delta, Done, Event, Failed, Usage
from qwell.server.problem import openai_body

# The API has no word for a stopped repetition: the text was cut, as by a length limit.
_FINISH = {"stop": "stop", "length": "length", "repetition": "length", "tool_calls": "tool_calls"}


@dataclass(frozen=True, slots=True)
class Completion:
    """What all chunks of one answer share."""

    request_id: str
    model: str
    logprobs: bool = False
    include_usage: bool = False
    created: int = field(default_factory=lambda: int(time.time()))

    def opening(self) -> str:
        return self._chunk({"role": "assistant", "content": ""})

    def chunks(self, event: Event) -> list[str]:
        """The data of the frames that this event becomes: none, one or two."""
        if isinstance(event, Delta):
            return [self._chunk({"content": event.text}, logprobs=event.logprobs)]
        if not isinstance(event, Done | Failed):
            return []
        if failed := failure(event):
            return [_dump(openai_body(failed.code, message_of(failed)))]
        assert isinstance(event, Done)
        closing = self._chunk({}, finish=_FINISH[event.reason])
        return [closing, self._usage(event)] if self.include_usage else [closing]

    def whole(self, deltas: list[Delta], done: Done) -> dict[str, Any]:
        text = "".join(delta.text for delta in deltas)
        logprobs = [token for delta in deltas for token in delta.logprobs]
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": self._logprobs(logprobs),
            "finish_reason": _FINISH[done.reason],
        }
        return self._head("chat.completion", [choice]) | {"usage": usage_body(done.usage)}

    def _chunk(
        self, delta: dict[str, Any], *, logprobs: Any = (), finish: str | None = None
    ) -> str:
        choice = {
            "index": 0,
            "delta": delta,
            "logprobs": self._logprobs(list(logprobs)) if logprobs else None,
            "finish_reason": finish,
        }
        usage = {"usage": None} if self.include_usage else {}
        return _dump(self._head("chat.completion.chunk", [choice]) | usage)

    def _usage(self, done: Done) -> str:
        return _dump(self._head("chat.completion.chunk", []) | {"usage": usage_body(done.usage)})

    def _head(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.request_id}",
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }

    def _logprobs(self, content: list[Any]) -> dict[str, Any] | None:
        return {"content": content, "refusal": None} if self.logprobs else None


def usage_body(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


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


def message_of(failed: Failed) -> str:
    return f"{failed.cause}. Fix: {failed.fix}"


def _dump(body: dict[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False)
