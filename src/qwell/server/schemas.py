"""What clients may send, with its bounds, and how it becomes a core.Request.

Unknown fields are refused by name: a misspelt or unsupported setting must not be ignored.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from qwell.core import Message, Request, Sampling
from qwell.errors import QwellError

MAX_MESSAGES = 1000
MAX_CHARS = 1_000_000  # of one message; the context budget decides what fits
MAX_TOKENS = 131_072

Text = Annotated[str, Field(max_length=MAX_CHARS)]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Stop = Annotated[str, Field(min_length=1, max_length=200)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
MaxTokens = Annotated[int, Field(ge=1, le=MAX_TOKENS)]
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


class ConversationSettings(Strict):
    """What every answer of a conversation is asked with."""

    system: Text = ""
    sampling: SamplingIn = SamplingIn()
    max_tokens: MaxTokens | None = None


class ChatIn(Strict):
    """Body of POST /api/chat and of the chat frame of /ws/chat.

    With `conversation` the last of `messages` is the new question. It and its answer are stored,
    and what the model reads before it is the stored branch above `parent`; the messages before
    it are used only when the store cannot be read. Without `parent` the question follows what was
    said last; with null it begins a branch of its own, and the conversation where there is none.
    A `question` id that is stored already asks the same again.

    With `continue_last` the last of `messages` is an answer that was cut, and the one before it
    its question: the model goes on where it ends. In a conversation the new answer is whole, it
    begins with the text of the one that was cut.
    """

    conversation: Id | None = None
    parent: Id | None = None
    question: Id | None = None
    answer: Id | None = None
    messages: Annotated[list[Turn], Field(min_length=1, max_length=MAX_MESSAGES)]
    sampling: SamplingIn = SamplingIn()
    max_tokens: MaxTokens | None = None
    stop: Annotated[list[Stop], Field(max_length=16)] = []
    overflow: Literal["trim", "error"] = "trim"
    lang: Literal["zh", "en"] | None = None
    continue_last: bool = False

    @model_validator(mode="after")
    def _check_conversation(self) -> Self:
        named = {"parent", "question", "answer"} & self.model_fields_set
        if self.conversation is None and named:
            raise ValueError(f"{min(named)} is for requests with a conversation")
        if self.continue_last and self.messages[-1].role != "assistant":
            raise ValueError("the last message must be the answer to continue")
        if self.conversation is not None and self.newest[0].role != "user":
            raise ValueError("the last message must be the user's new question")
        return self

    @property
    def newest(self) -> Sequence[Turn]:
        """The question, and what is said of its answer already."""
        return self.messages[-2 if self.continue_last else -1 :]

    def to_core(self, request_id: str) -> Request:
        return Request(
            id=request_id,
            messages=tuple(Message(turn.role, turn.content) for turn in self.messages),
            sampling=self.sampling.to_sampling(),
            max_tokens=self.max_tokens,
            stop=tuple(self.stop),
            overflow=self.overflow,
            continue_last=self.continue_last,
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
    """The path of the wrong field that says most, e.g. ``messages.0.role``; "body" for all."""
    if _telling(errors)["type"] == "json_invalid":
        return "body"
    *parents, last = [part for part in _telling(errors)["loc"] if part != "body"] or ["body"]
    return ".".join(str(part) for part in [*filter(_is_in_json, parents), last])


def _telling(errors: Sequence[Any]) -> Any:
    """Where one of several shapes was expected, the one that was meant got farthest."""
    return max(errors, key=lambda error: len(error["loc"]))


def _is_in_json(part: str | int) -> bool:
    """Unlike the names of shapes, which stand among the fields of a path."""
    return isinstance(part, int) or re.fullmatch(r"[a-z_][a-z0-9_]*", part) is not None


def invalid_body(errors: Sequence[Any]) -> QwellError:
    """What is wrong with a body, named by its path."""
    first, where = _telling(errors), first_wrong(errors)
    reason = _no_object(first)
    if reason is not None:
        return QwellError(
            "invalid-request-body",
            found=f"the body is no JSON object: {reason}",
            expected="a JSON body as described at /docs",
            fix="send a JSON object, with the header Content-Type: application/json"
            if first["loc"]
            else "send a JSON object",  # over a WebSocket there are no headers
        )
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


def _no_object(error: Any) -> str | None:
    """Why the body as a whole cannot be read; None where a field of it is wrong.

    The framework names the character beside the place, pydantic within its words.
    """
    where = tuple(error["loc"])
    if error["type"] == "json_invalid":
        said = error.get("ctx", {}).get("error", "not JSON")
        return f"{said} at character {where[-1]}" if where else str(said)
    if where in ((), ("body",)) and isinstance(error.get("input"), str | bytes):
        return "it is read as text"
    return None


def from_validation(error: ValidationError) -> QwellError:
    return invalid_body(error.errors(include_url=False))
