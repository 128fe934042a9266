"""The part of OpenAI's chat API that is served, and how it becomes a core.Request.

A field that would change the answer but is not supported is refused, never ignored. Fields
that only label a request (user, metadata ...) are accepted and unused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from qwell.core import Message, Request, Role
from qwell.server.schemas import MAX_CHARS, MAX_MESSAGES, MAX_TOKENS, SamplingIn, Stop, Strict

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}


class TextPart(Strict):
    type: Literal["text"]
    text: Annotated[str, Field(max_length=MAX_CHARS)]


Parts = Annotated[list[TextPart], Field(max_length=1000)]


class OpenAIMessage(Strict):
    """Fields typed None are what clients echo back from an answer of ours."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, Field(max_length=MAX_CHARS)] | Parts | None = None
    name: str | None = None
    refusal: None = None
    audio: None = None
    annotations: Annotated[list[Any], Field(max_length=0)] | None = None
    function_call: None = None
    tool_calls: Annotated[list[Any], Field(max_length=0)] | None = None

    def to_core(self) -> Message:
        content = self.content or ""
        if not isinstance(content, str):
            content = "".join(part.text for part in content)
        return Message(_ROLES[self.role], content)


class TextFormat(Strict):
    type: Literal["text"]


class StreamOptions(Strict):
    include_usage: bool = False
    include_obfuscation: bool = False


class Label(BaseModel):
    """Fields that change nothing in the answer."""

    model_config = ConfigDict(extra="forbid")

    user: str | None = None
    metadata: dict[str, str] | None = None
    store: Literal[False] | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    parallel_tool_calls: bool | None = None


class ChatCompletionIn(SamplingIn, Label):
    """Body of POST /v1/chat/completions."""

    model: Annotated[str, Field(max_length=300)]
    messages: Annotated[list[OpenAIMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] | None = None
    n: Literal[1] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    response_format: TextFormat | None = None
    modalities: list[Literal["text"]] | None = None
    tools: Annotated[list[Any], Field(max_length=0)] | None = None
    tool_choice: Literal["none", "auto"] | None = None

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage

    def to_core(self, request_id: str) -> Request:
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return Request(
            id=request_id,
            messages=tuple(message.to_core() for message in self.messages),
            sampling=self.to_sampling(),
            max_tokens=self.max_completion_tokens or self.max_tokens,
            stop=tuple(stop),
            overflow="error",  # the API promises that all of the prompt is read, or an error
            top_logprobs=(self.top_logprobs or 0) if self.logprobs else None,
        )
