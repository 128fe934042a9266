"""Answers in the JSON of OpenAI's chat API: chunks of a stream, or the whole. Does no I/O."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse

from qwell.core import Delta, Done, Event, Failed, Notice, Usage
from qwell.server import sse
from qwell.server.answer import Answer, message_of
from qwell.server.problem import headers_of, openai_body, status_of

# The API has no word for a stopped repetition: the text was cut, as by a length limit.
FINISH = {"stop": "stop", "length": "length", "repetition": "length", "tool_calls": "tool_calls"}
END = sse.encode("[DONE]")


@dataclass(slots=True)
class Completion:
    """A chat completion of n choices. Notices, which the API lacks, are added beside them."""

    request_id: str
    model: str
    n: int = 1
    logprobs: bool = False
    include_usage: bool = False
    created: int = field(default_factory=lambda: int(time.time()))
    n_calls: dict[int, int] = field(default_factory=dict)  # told so far, by choice
    notices: dict[int, list[dict[str, Any]]] = field(default_factory=dict)  # to tell, by choice

    def opening(self) -> list[bytes]:
        delta = {"role": "assistant", "content": ""}
        return [self._chunk(index, delta) for index in range(self.n)]

    def frames(self, index: int, event: Event) -> list[bytes]:
        match event:
            case Delta():
                return self._delta(index, event)
            case Notice():  # kept for the closing chunk: clients expect a choice in every chunk
                notice = {"code": event.code, "detail": dict(event.detail)}
                self.notices.setdefault(index, []).append(notice)
            case Done():
                return [self._chunk(index, {}, finish=FINISH[event.reason])]
        return []

    def closing(self, answers: Sequence[Answer]) -> list[bytes]:
        if not self.include_usage:
            return [END]
        usage = usage_body(total_usage([a.usage for a in answers], len(answers)))
        return [self._dump(self._head("chat.completion.chunk", []) | {"usage": usage}), END]

    def broken(self, failed: Failed) -> list[bytes]:
        return [sse.encode(_json(openai_body(failed.code, message_of(failed)))), END]

    def refusal(self, failed: Failed) -> JSONResponse:
        return openai_refusal(failed)

    def whole(self, answers: Sequence[Answer]) -> dict[str, Any]:
        choices = [self._choice(index, answer) for index, answer in enumerate(answers)]
        usage = {"usage": usage_body(total_usage([a.usage for a in answers], len(answers)))}
        return self._head("chat.completion", choices) | usage | notices_of(answers)

    def _choice(self, index: int, answer: Answer) -> dict[str, Any]:
        assert answer.done is not None
        message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None}
        if answer.tool_calls:
            message["content"] = answer.text or None
            message["tool_calls"] = [_call(call) for call in answer.tool_calls]
        return {
            "index": index,
            "message": message,
            "logprobs": self._logprobs(answer.logprobs),
            "finish_reason": FINISH[answer.done.reason],
        }

    def _delta(self, index: int, delta: Delta) -> list[bytes]:
        chunks = []
        if delta.text or delta.logprobs:
            chunks.append(self._chunk(index, {"content": delta.text}, logprobs=delta.logprobs))
        for piece in delta.tool_calls:
            parts = self._parts(index, piece)
            chunks += [self._chunk(index, {"tool_calls": [part]}) for part in parts]
        return chunks

    def _parts(self, index: int, piece: Mapping[str, str]) -> list[dict[str, Any]]:
        """The beginning of a call with its name, then what there is of its arguments."""
        parts: list[dict[str, Any]] = []
        if "id" in piece:
            self.n_calls[index] = self.n_calls.get(index, 0) + 1
            parts.append(_call({**piece, "arguments": ""}))
        if piece["arguments"]:
            parts.append({"function": {"arguments": piece["arguments"]}})
        return [{"index": self.n_calls[index] - 1, **part} for part in parts]

    def _chunk(
        self,
        index: int,
        delta: dict[str, Any],
        *,
        logprobs: Sequence[Mapping[str, Any]] = (),
        finish: str | None = None,
    ) -> bytes:
        choice = {
            "index": index,
            "delta": delta,
            "logprobs": self._logprobs(logprobs) if logprobs else None,
            "finish_reason": finish,
        }
        body = self._head("chat.completion.chunk", [choice])
        if finish and index in self.notices:
            body["notices"] = self.notices[index]
        return self._dump(body)

    def _dump(self, body: dict[str, Any]) -> bytes:
        usage = {"usage": None} if self.include_usage else {}
        return sse.encode(_json(usage | body))

    def _head(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.request_id}",
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }

    def _logprobs(self, content: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        return {"content": list(content), "refusal": None} if self.logprobs else None


def total_usage(usages: Sequence[Usage], n_per_prompt: int) -> Usage:
    """Of choices of which so many in a row share a prompt, which was read once."""
    firsts = usages[::n_per_prompt]
    return Usage(
        sum(usage.prompt_tokens for usage in firsts),
        sum(usage.cached_tokens for usage in firsts),
        sum(usage.completion_tokens for usage in usages),
        sum(usage.dropped_tokens for usage in firsts),
    )


def usage_body(usage: Usage) -> dict[str, Any]:
    """dropped_tokens, an addition, is there where the prompt had to be trimmed."""
    dropped = {"dropped_tokens": usage.dropped_tokens} if usage.dropped_tokens else {}
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens} | dropped,
    }


def notices_of(answers: Sequence[Answer]) -> dict[str, Any]:
    """The field for what a reader should know about the answers; empty when there is nothing."""
    notices = [notice for answer in answers for notice in answer.notices]
    return {"notices": notices} if notices else {}


def openai_refusal(failed: Failed) -> JSONResponse:
    return JSONResponse(
        openai_body(failed.code, message_of(failed)),
        status_of(failed.code),
        headers=headers_of(failed.code),
    )


def _call(call: Mapping[str, str]) -> dict[str, Any]:
    function = {"name": call["name"], "arguments": call["arguments"]}
    return {"id": call["id"], "type": "function", "function": function}


def _json(body: dict[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False)
