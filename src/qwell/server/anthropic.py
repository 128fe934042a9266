"""/v1/messages: Anthropic's messages API, streamed and whole. Writes its JSON; keeps no state."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from qwell.core import Delta, Done, Event, Failed, Prefill, Usage
from qwell.server import sse
from qwell.server.answer import Answer, message_of
from qwell.server.anthropic_schemas import CountIn, MessagesIn
from qwell.server.client_answer import respond, respond_whole
from qwell.server.model_name import check_model, served_name
from qwell.server.openai_completion import notices_of
from qwell.server.problem import anthropic_body, headers_of, request_id_of
from qwell.server.problem import status_of as http_status_of

router = APIRouter(prefix="/v1/messages", tags=["anthropic"])


@router.post("", response_class=JSONResponse)
async def messages(request: Request, body: MessagesIn) -> Response:
    """A message; with `stream` as server-sent events."""
    check_model(request, body.model)
    core = body.to_core(request_id_of(request.scope))
    return await respond(
        request,
        [[core]],
        lambda: MessageForm(core.id, served_name(request, body.model)),
        model=body.model,
        stream=bool(body.stream),
    )


@router.post("/count_tokens", response_class=JSONResponse)
async def count_tokens(request: Request, body: CountIn) -> Response:
    """How many tokens a message's prompt has, whether or not it fits the context."""
    check_model(request, body.model)
    core = replace(body.to_prompt(request_id_of(request.scope)), encode_only=True)
    return await respond_whole(request, [[core]], lambda: CountForm(core.id), model=body.model)


@dataclass(frozen=True, slots=True)
class CountForm:
    request_id: str

    def whole(self, answers: Sequence[Answer]) -> dict[str, Any]:
        return {"input_tokens": answers[0].usage.prompt_tokens}

    def refusal(self, failed: Failed) -> Response:
        return _refusal(failed, self.request_id)


@dataclass(slots=True)
class MessageForm:
    """One message. In a stream its blocks are numbered through and open one at a time."""

    request_id: str
    model: str
    has_begun: bool = False
    n_blocks: int = 0  # that were opened
    open_kind: str = ""  # of the last of them, while it is open

    def opening(self) -> list[bytes]:
        return []  # the beginning names the prompt's tokens: it waits for the first event

    def frames(self, index: int, event: Event) -> list[bytes]:
        assert index == 0, "there is one message"
        match event:
            case Prefill():
                return self._begin(Usage(event.total, event.cached))
            case Delta():
                frames = [*self._begin(Usage()), *self._text(event.text)]
                for piece in event.tool_calls:
                    frames += self._call(piece)
                return frames
            case Done():
                return [*self._begin(event.usage), *self._end_block()]
        return []

    def closing(self, answers: Sequence[Answer]) -> list[bytes]:
        (answer,) = answers
        reason, stop = _stop(answer)
        delta = {"stop_reason": reason, "stop_sequence": stop}
        closing = {"type": "message_delta", "delta": delta, "usage": _usage(answer.usage)}
        return [_frame(closing | notices_of(answers)), _frame({"type": "message_stop"})]

    def broken(self, failed: Failed) -> list[bytes]:
        return [_frame(anthropic_body(failed.code, message_of(failed), self.request_id))]

    def refusal(self, failed: Failed) -> Response:
        return _refusal(failed, self.request_id)

    def whole(self, answers: Sequence[Answer]) -> dict[str, Any]:
        (answer,) = answers
        reason, stop = _stop(answer)
        content: list[dict[str, Any]] = []
        if answer.text or not answer.tool_calls:
            content.append({"type": "text", "text": answer.text})
        content += [
            _tool_use(call["id"], call["name"], _given(call["arguments"]))
            for call in answer.tool_calls
        ]
        return self._message(content, answer.usage, reason, stop) | notices_of(answers)

    def _begin(self, usage: Usage) -> list[bytes]:
        """The head of the message, once."""
        if self.has_begun:
            return []
        self.has_begun = True
        return [_frame({"type": "message_start", "message": self._message([], usage, None, None)})]

    def _text(self, text: str) -> list[bytes]:
        if not text:
            return []
        is_open = self.open_kind == "text"
        opening = [] if is_open else self._open_block({"type": "text", "text": ""})
        return [*opening, self._block_delta({"type": "text_delta", "text": text})]

    def _call(self, piece: Mapping[str, str]) -> list[bytes]:
        """A call that begins, or what there is of its input; see Delta."""
        frames = []
        if "id" in piece:
            frames += self._open_block(_tool_use(piece["id"], piece["name"], {}))
        if piece["arguments"]:
            delta = {"type": "input_json_delta", "partial_json": piece["arguments"]}
            frames.append(self._block_delta(delta))
        return frames

    def _open_block(self, block: dict[str, Any]) -> list[bytes]:
        """Another block begins; the one before it ends."""
        ended = self._end_block()
        self.open_kind = block["type"]
        self.n_blocks += 1
        start = {"type": "content_block_start", "index": self.n_blocks - 1, "content_block": block}
        return [*ended, _frame(start)]

    def _block_delta(self, delta: dict[str, Any]) -> bytes:
        index = self.n_blocks - 1
        return _frame({"type": "content_block_delta", "index": index, "delta": delta})

    def _block_stop(self) -> bytes:
        return _frame({"type": "content_block_stop", "index": self.n_blocks - 1})

    def _end_block(self) -> list[bytes]:
        was_open, self.open_kind = self.open_kind, ""
        return [self._block_stop()] if was_open else []

    def _message(
        self, content: list[dict[str, Any]], usage: Usage, reason: str | None, stop: str | None
    ) -> dict[str, Any]:
        return {
            "id": f"msg_{self.request_id}",
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": reason,
            "stop_sequence": stop,
            "usage": _usage(usage),
        }


def _tool_use(call_id: str, name: str, given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": given}


def _given(arguments: str) -> Any:
    """The input of a call. One that was cut off has none; why it was stands in stop_reason."""
    try:
        return json.loads(arguments)
    except ValueError:
        return {}


def _stop(answer: Answer) -> tuple[str, str | None]:
    """Why it ended, in the API's words, and at which stop sequence."""
    assert answer.done is not None
    if answer.done.reason == "tool_calls":
        return "tool_use", None
    if answer.done.stop is not None:
        return "stop_sequence", answer.done.stop
    return ("end_turn" if answer.done.reason == "stop" else "max_tokens"), None


def _usage(usage: Usage) -> dict[str, int]:
    """The API counts what was cached beside the input, not in it."""
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
    }


def _refusal(failed: Failed, request_id: str) -> Response:
    return JSONResponse(
        anthropic_body(failed.code, message_of(failed), request_id),
        http_status_of(failed.code),
        headers=headers_of(failed.code),
    )


def _frame(body: dict[str, Any]) -> bytes:
    return sse.encode(json.dumps(body, ensure_ascii=False), event=body["type"])
