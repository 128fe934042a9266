"""/v1/responses: OpenAI's responses API, streamed and whole, without its storage."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from qwell.core import Delta, Event, Failed, Usage
from qwell.server import sse
from qwell.server.answer import Answer, message_of
from qwell.server.client_answer import respond
from qwell.server.model_name import check_model, served_name
from qwell.server.openai_completion import notices_of, openai_refusal
from qwell.server.problem import request_id_of
from qwell.server.responses_schemas import ResponseIn

router = APIRouter(prefix="/v1", tags=["openai"])


@router.post("/responses", response_class=JSONResponse)
async def responses(request: Request, body: ResponseIn) -> Response:
    """A response; with `stream` as server-sent events. Nothing is stored."""
    check_model(request, body.model)
    core = body.to_core(request_id_of(request.scope))
    return await respond(
        request,
        [[core]],
        lambda: ResponseForm(core.id, served_name(request, body.model), _echoed(body)),
        model=body.model,
        stream=bool(body.stream),
    )


def _echoed(body: ResponseIn) -> dict[str, Any]:
    """The settings that a response repeats."""
    given = body.model_dump(include={"text", "tools", "tool_choice"}, by_alias=True, mode="json")
    return {
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "metadata": body.metadata or {},
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": body.temperature,
        "text": {"format": (given["text"] or {}).get("format") or {"type": "text"}},
        "tool_choice": given["tool_choice"] or "auto",
        "tools": [{**tool, "strict": True} for tool in given["tools"] or ()],
        "top_p": body.top_p,
        "truncation": body.truncation or "disabled",
        "user": body.user,
    }


@dataclass(slots=True)
class ResponseForm:
    """One response. In a stream, each item of its output opens, grows and closes."""

    request_id: str
    model: str
    echoed: Mapping[str, Any]
    created: int = field(default_factory=lambda: int(time.time()))
    n_sent: int = 0  # events so far: each carries its number
    output: list[dict[str, Any]] = field(default_factory=list)  # items that are closed
    text: str | None = None  # of the message that is open, None while none is
    call: dict[str, str] | None = None  # the one that is open

    def opening(self) -> list[bytes]:
        body = self._body("in_progress", [])
        return [
            self._event("response.created", response=body),
            self._event("response.in_progress", response=body),
        ]

    def frames(self, index: int, event: Event) -> list[bytes]:
        assert index == 0, "there is one response"
        if not isinstance(event, Delta):
            return []
        frames = self._grow(event.text) if event.text else []
        for piece in event.tool_calls:
            frames += self._call(piece)
        return frames

    def closing(self, answers: Sequence[Answer]) -> list[bytes]:
        frames = self._close()
        body = self._ended(answers, self.output)
        return [*frames, self._event(f"response.{body['status']}", response=body)]

    def broken(self, failed: Failed) -> list[bytes]:
        error = {"code": "server_error", "message": message_of(failed), "fault": failed.code}
        body = self._body("failed", self.output) | {"error": error}
        return [self._event("response.failed", response=body)]

    def refusal(self, failed: Failed) -> Response:
        return openai_refusal(failed)

    def whole(self, answers: Sequence[Answer]) -> dict[str, Any]:
        (answer,) = answers
        output = []
        if answer.text or not answer.tool_calls:
            output.append(self._message(0, answer.text, "completed"))
        output += [_call_item(call) for call in answer.tool_calls]
        return self._ended(answers, output)

    def _ended(self, answers: Sequence[Answer], output: list[dict[str, Any]]) -> dict[str, Any]:
        (answer,) = answers
        assert answer.done is not None
        is_cut = answer.done.reason in ("length", "repetition")
        body = self._body("incomplete" if is_cut else "completed", output)
        if is_cut:
            body["incomplete_details"] = {"reason": "max_output_tokens"}
        return body | {"usage": _usage(answer.usage)} | notices_of(answers)

    def _grow(self, text: str) -> list[bytes]:
        frames = [] if self.text is not None else [*self._close(), *self._open_message()]
        self.text = (self.text or "") + text
        return [*frames, self._part_event("response.output_text.delta", delta=text, logprobs=[])]

    def _open_message(self) -> list[bytes]:
        item = {**self._message(len(self.output), "", "in_progress"), "content": []}
        return [
            self._item_event("response.output_item.added", item),
            self._part_event("response.content_part.added", part=_part("")),
        ]

    def _close_message(self) -> list[bytes]:
        if self.text is None:
            return []
        text, self.text = self.text, None
        item = self._message(len(self.output), text, "completed")
        frames = [
            self._part_event("response.output_text.done", text=text, logprobs=[]),
            self._part_event("response.content_part.done", part=_part(text)),
            self._item_event("response.output_item.done", item),
        ]
        self.output.append(item)
        return frames

    def _call(self, piece: Mapping[str, str]) -> list[bytes]:
        """A call that begins, or what there is of its arguments; see Delta."""
        frames = []
        if "id" in piece:
            frames += self._close()
            self.call = {**piece, "arguments": ""}
            item = _call_item(self.call) | {"status": "in_progress"}
            frames.append(self._item_event("response.output_item.added", item))
        assert self.call is not None, "a call begins with its name"
        if piece["arguments"]:
            self.call["arguments"] += piece["arguments"]
            frames.append(self._call_event(self.call, "delta", delta=piece["arguments"]))
        return frames

    def _close(self) -> list[bytes]:
        """End the item that is open."""
        return [*self._close_message(), *self._close_call()]

    def _close_call(self) -> list[bytes]:
        if self.call is None:
            return []
        call, self.call = self.call, None
        item = _call_item(call)
        frames = [
            self._call_event(call, "done", name=call["name"], arguments=call["arguments"]),
            self._item_event("response.output_item.done", item),
        ]
        self.output.append(item)
        return frames

    def _call_event(self, call: Mapping[str, str], kind: str, **values: Any) -> bytes:
        at = {"item_id": _call_id(call), "output_index": len(self.output)}
        return self._event(f"response.function_call_arguments.{kind}", **at, **values)

    def _item_event(self, kind: str, item: dict[str, Any]) -> bytes:
        return self._event(kind, output_index=len(self.output), item=item)

    def _part_event(self, kind: str, **values: Any) -> bytes:
        index = len(self.output)
        at = {"item_id": self._item_id(index), "output_index": index, "content_index": 0}
        return self._event(kind, **at, **values)

    def _event(self, kind: str, **values: Any) -> bytes:
        body = {"type": kind, "sequence_number": self.n_sent, **values}
        self.n_sent += 1
        return sse.encode(json.dumps(body, ensure_ascii=False), event=kind)

    def _item_id(self, index: int) -> str:
        return f"msg_{self.request_id}_{index}"

    def _message(self, index: int, text: str, status: str) -> dict[str, Any]:
        return {
            "id": self._item_id(index),
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": [_part(text)],
        }

    def _body(self, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": f"resp_{self.request_id}",
            "object": "response",
            "created_at": self.created,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "model": self.model,
            "output": list(output),
            "usage": None,
            **self.echoed,
        }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _call_id(call: Mapping[str, str]) -> str:
    return f"fc_{call['id'].removeprefix('call_')}"


def _call_item(call: Mapping[str, str]) -> dict[str, Any]:
    """A call that is over; where the answer was cut off, it is not complete."""
    return {
        "id": _call_id(call),
        "type": "function_call",
        "call_id": call["id"],
        "name": call["name"],
        "arguments": call["arguments"],
        "status": "completed" if _is_json(call["arguments"]) else "incomplete",
    }


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _usage(usage: Usage) -> dict[str, Any]:
    dropped = {"dropped_tokens": usage.dropped_tokens} if usage.dropped_tokens else {}
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens} | dropped,
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
