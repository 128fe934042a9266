"""What clients may send, with its bounds, and how it becomes a core.Request.

Unknown fields are refused by name: a misspelt or unsupported setting must not be ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qwell.core import Message, Request, Sampling
from qwell.errors import QwellError

MAX_MESSAGES = 1000
MAX_CHARS = 1_000_000  # of one message; the context budget decides what fits
MAX_TOKENS = 131_072

Text = Annotated[str, Field(max_length=MAX_CHARS)]
Stop = Annotated[str, Field(min_length=1, max_length=200)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
LogitBias = Annotated[
    dict[Annotated[int, Field(ge=0)], Annotated[float, Field(ge=-100, le=100)]],
    Field(max_length=1000),
]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SamplingIn(Strict):
    """Bounds of everything that chooses the next token; absent means the model's own default."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_k: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=2)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    logit_bias: LogitBias | None = None

    def to_sampling(self) -> Sampling:
        given = self.model_dump(include=set(SamplingIn.model_fields), exclude_none=True)
        if "seed" in given:
            given["seed"] %= 2**63  # generators take no negative seeds
        return Sampling(**given)


class Turn(Strict):
    role: Literal["system", "user", "assistant"]
    content: Text


class ChatIn(Strict):
    """Body of POST /api/chat and of the chat frame of /ws/chat."""

    messages: Annotated[list[Turn], Field(min_length=1, max_length=MAX_MESSAGES)]
    sampling: SamplingIn = SamplingIn()
    max_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] | None = None
    stop: Annotated[list[Stop], Field(max_length=16)] = []
    overflow: Literal["trim", "error"] = "trim"
    lang: Literal["zh", "en"] | None = None

    def to_core(self, request_id: str) -> Request:
        return Request(
            id=request_id,
            messages=tuple(Message(turn.role, turn.content) for turn in self.messages),
            sampling=self.sampling.to_sampling(),
            max_tokens=self.max_tokens,
            stop=tuple(self.stop),
            overflow=self.overflow,
        )


class ChatFrame(ChatIn):
    op: Literal["chat"]


class ResumeFrame(Strict):
    op: Literal["resume"]
    stream: Annotated[str, Field(max_length=64)]
    start: Annotated[int, Field(ge=0, alias="from")] = 0


class StopFrame(Strict):
    op: Literal["stop"]


class PingFrame(Strict):
    op: Literal["ping"]


SocketFrame = Annotated[ChatFrame | ResumeFrame | StopFrame | PingFrame, Field(discriminator="op")]


def first_wrong(errors: Sequence[Any]) -> str:
    """The path of the first wrong field, e.g. ``messages.0.role``."""
    return ".".join(str(part) for part in errors[0]["loc"] if part != "body") or "body"


def invalid_body(errors: Sequence[Any]) -> QwellError:
    """The first thing wrong with a body, named by its path."""
    first, where = errors[0], first_wrong(errors)
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    if first["type"] == "extra_forbidden":
        return QwellError(
            "invalid-request-body",
            found=f"{where}: a field that is not supported here{more}",
            expected="only the fields listed at /docs",
            fix=f"leave out {where}",
        )
    return QwellError(
        "invalid-request-body",
        found=f"{where}: {first['msg']}{more}",
        expected="a JSON body as described at /docs",
        fix=f"correct {where} and send the request again",
    )


def from_validation(error: ValidationError) -> QwellError:
    return invalid_body(error.errors(include_url=False))
