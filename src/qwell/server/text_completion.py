"""/v1/completions: plain text or tokens in, their continuation out, as OpenAI's older API has it.

No chat template is applied: the model goes on with exactly what it is given.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field, ValidationInfo, field_validator
from starlette.responses import JSONResponse, Response

from qwell.core import Delta, Done, Event, Failed
from qwell.core import Request as Asked
from qwell.server import sse
from qwell.server.answer import Answer, message_of
from qwell.server.choices import variants
from qwell.server.client_answer import respond
from qwell.server.model_name import check_model, served_name
from qwell.server.openai_completion import (
    END,
    FINISH,
    notices_of,
    openai_refusal,
    total_usage,
    usage_body,
)
from qwell.server.openai_schemas import MAX_CHOICES, Label, StreamOptions, Text
from qwell.server.problem import openai_body, request_id_of
from qwell.server.schemas import MAX_TOKENS, SamplingIn, Stop

MAX_PROMPTS = 8
_DEFAULT_MAX_TOKENS = 16  # the API's own

router = APIRouter(prefix="/v1", tags=["openai"])

Ids = Annotated[
    list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1, max_length=MAX_TOKENS)
]
Prompts = (
    Text
    | Annotated[list[Text], Field(min_length=1, max_length=MAX_PROMPTS)]
    | Ids
    | Annotated[list[Ids], Field(min_length=1, max_length=MAX_PROMPTS)]
)


class CompletionIn(SamplingIn, Label):
    """Body of POST /v1/completions."""

    model: Annotated[str, Field(max_length=300)]
    prompt: Prompts
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    best_of: Literal[1] | None = None
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    echo: bool | None = None
    suffix: None = None

    @field_validator("echo")
    @classmethod
    def _can_be_echoed(cls, value: bool | None, info: ValidationInfo) -> bool | None:
        """Logprobs of a prompt are not computed; tokens are not text that could be repeated."""
        if value and info.data.get("logprobs") is not None:
            raise ValueError("cannot be combined with logprobs")
        if value and not all(isinstance(p, str) for p in _each(info.data.get("prompt", ""))):
            raise ValueError("needs a prompt of text")
        return value

    @property
    def prompts(self) -> list[str | list[int]]:
        return _each(self.prompt)

    def to_core(self, request_id: str) -> list[list[Asked]]:
        """A group of requests for each prompt."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        base = Asked(
            id=request_id,
            sampling=self.to_sampling(),
            max_tokens=self.max_tokens or _DEFAULT_MAX_TOKENS,
            stop=tuple(stop),
            top_logprobs=self.logprobs,
        )
        return [
            variants(
                _prompted(base, prompt, f"{request_id}-p{i}" if i else request_id), self.n or 1
            )
            for i, prompt in enumerate(self.prompts)
        ]


def _each(prompt: Any) -> list[str | list[int]]:
    """One prompt or several, as a list of prompts."""
    if isinstance(prompt, str) or (prompt and isinstance(prompt[0], int)):
        return [prompt]
    return list(prompt)


def _prompted(base: Asked, prompt: str | list[int], request_id: str) -> Asked:
    if isinstance(prompt, str):
        return replace(base, id=request_id, prompt=prompt)
    return replace(base, id=request_id, prompt_ids=tuple(prompt))


@router.post("/completions", response_class=JSONResponse)
async def completions(request: Request, body: CompletionIn) -> Response:
    """A text completion; with `stream` as server-sent events."""
    check_model(request, body.model)
    request_id = request_id_of(request.scope)
    echoed = [prompt if body.echo and isinstance(prompt, str) else "" for prompt in body.prompts]
    return await respond(
        request,
        body.to_core(request_id),
        lambda: TextCompletion(
            request_id,
            model=served_name(request, body.model),
            echoed=[text for text in echoed for _ in range(body.n or 1)],
            n_per_prompt=body.n or 1,
            logprobs=body.logprobs is not None,
            include_usage=body.stream_options is not None and body.stream_options.include_usage,
        ),
        model=body.model,
        stream=bool(body.stream),
    )


@dataclass(slots=True)
class TextCompletion:
    """echoed: what each choice begins with. n_per_prompt: choices in a row share a prompt."""

    request_id: str
    model: str
    echoed: Sequence[str]
    n_per_prompt: int = 1
    logprobs: bool = False
    include_usage: bool = False
    created: int = field(default_factory=lambda: int(time.time()))
    offsets: dict[int, int] = field(default_factory=dict)  # characters told, by choice

    def opening(self) -> list[bytes]:
        return [self._chunk(i, text) for i, text in enumerate(self.echoed) if text]

    def frames(self, index: int, event: Event) -> list[bytes]:
        if isinstance(event, Delta):
            return [self._chunk(index, event.text, logprobs=event.logprobs)]
        if isinstance(event, Done):
            return [self._chunk(index, "", finish=FINISH[event.reason])]
        return []

    def closing(self, answers: Sequence[Answer]) -> list[bytes]:
        if not self.include_usage:
            return [END]
        usage = usage_body(total_usage([a.usage for a in answers], self.n_per_prompt))
        return [_frame(self._head([]) | {"usage": usage}), END]

    def broken(self, failed: Failed) -> list[bytes]:
        return [_frame(openai_body(failed.code, message_of(failed))), END]

    def refusal(self, failed: Failed) -> JSONResponse:
        return openai_refusal(failed)

    def whole(self, answers: Sequence[Answer]) -> dict[str, Any]:
        choices = [self._choice(index, answer) for index, answer in enumerate(answers)]
        usage = {"usage": usage_body(total_usage([a.usage for a in answers], self.n_per_prompt))}
        return self._head(choices) | usage | notices_of(answers)

    def _choice(self, index: int, answer: Answer) -> dict[str, Any]:
        assert answer.done is not None
        return {
            "index": index,
            "text": self.echoed[index] + answer.text,
            "logprobs": self._logprobs(index, answer.logprobs),
            "finish_reason": FINISH[answer.done.reason],
        }

    def _chunk(
        self, index: int, text: str, *, logprobs: Sequence[Any] = (), finish: str | None = None
    ) -> bytes:
        choice = {
            "index": index,
            "text": text,
            "logprobs": self._logprobs(index, logprobs) if logprobs else None,
            "finish_reason": finish,
        }
        return _frame(self._head([choice]))

    def _head(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": f"cmpl-{self.request_id}",
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }

    def _logprobs(self, index: int, entries: Sequence[Any]) -> dict[str, Any] | None:
        """Four lists side by side, one item for each token."""
        if not self.logprobs:
            return None
        start = self.offsets.get(index, len(self.echoed[index]))
        offsets = []
        for entry in entries:
            offsets.append(start)
            start += len(entry["token"])
        self.offsets[index] = start
        return {
            "tokens": [entry["token"] for entry in entries],
            "token_logprobs": [entry["logprob"] for entry in entries],
            "top_logprobs": [
                {top["token"]: top["logprob"] for top in entry["top_logprobs"]} for entry in entries
            ],
            "text_offset": offsets,
        }


def _frame(body: dict[str, Any]) -> bytes:
    return sse.encode(json.dumps(body, ensure_ascii=False))
