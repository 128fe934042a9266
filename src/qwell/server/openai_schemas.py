"""The part of OpenAI's chat API that is served, and how it becomes a core.Request.

A field that would change the answer but is not supported is refused, never ignored. Fields
that only label a request (user, metadata ...) are accepted and unused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from qwell.core import Message, Request, Role
from qwell.server.json_schema import Schema
from qwell.server.schemas import MAX_CHARS, MAX_MESSAGES, MAX_TOKENS, SamplingIn, Stop, Strict

MAX_CHOICES = 8
MAX_TOOLS = 128
MAX_CALLS = 128  # of one message
_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}

FunctionName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]
Text = Annotated[str, Field(max_length=MAX_CHARS)]
CallId = Annotated[str, Field(max_length=200)]


class TextPart(Strict):
    type: Literal["text"]
    text: Text


Parts = Annotated[list[TextPart], Field(max_length=1000)]


class CalledFunction(Strict):
    name: FunctionName
    arguments: Text


class ToolCallIn(Strict):
    """A call that the model made, sent back with the conversation."""

    id: CallId | None = None
    type: Literal["function"] = "function"
    function: CalledFunction

    def to_core(self) -> dict[str, Any]:
        return call_to_core(self.function.name, self.function.arguments)


class OpenAIMessage(Strict):
    """Fields typed None are what clients echo back from an answer of ours."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Text | Parts | None = None
    name: str | None = None
    refusal: None = None
    audio: None = None
    annotations: Annotated[list[Any], Field(max_length=0)] | None = None
    function_call: None = None
    tool_calls: Annotated[list[ToolCallIn], Field(max_length=MAX_CALLS)] | None = None
    tool_call_id: CallId | None = None

    @field_validator("tool_calls")
    @classmethod
    def _calls_are_the_assistants(cls, value: Any, info: ValidationInfo) -> Any:
        if value and info.data.get("role") != "assistant":
            raise ValueError("only an assistant's message has them")
        return value

    def to_core(self) -> Message:
        content = self.content or ""
        if not isinstance(content, str):
            content = "".join(part.text for part in content)
        calls = tuple(call.to_core() for call in self.tool_calls or ())
        return Message(_ROLES[self.role], content, calls)


class FunctionIn(Strict):
    name: FunctionName
    description: Text | None = None
    parameters: Schema | None = None
    strict: bool | None = None  # every call follows its schema, asked for or not


class ToolIn(Strict):
    type: Literal["function"]
    function: FunctionIn

    def to_core(self) -> dict[str, Any]:
        f = self.function
        return tool_to_core(f.name, f.description, f.parameters)


class ChosenFunction(Strict):
    name: FunctionName


class ToolChoice(Strict):
    type: Literal["function"]
    function: ChosenFunction


class TextFormat(Strict):
    type: Literal["text"]


class JsonObjectFormat(Strict):
    type: Literal["json_object"]


class NamedSchema(Strict):
    name: Annotated[str, Field(max_length=64)]
    description: Text | None = None
    schema_: Annotated[Schema | None, Field(alias="schema")] = None
    strict: bool | None = None  # the answer follows the schema, asked for or not


class JsonSchemaFormat(Strict):
    type: Literal["json_schema"]
    json_schema: NamedSchema


ResponseFormat = Annotated[
    TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")
]


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


def _distinct(tools: list[ToolIn]) -> list[ToolIn]:
    check_distinct([tool.function.name for tool in tools])
    return tools


class ChatCompletionIn(SamplingIn, Label):
    """Body of POST /v1/chat/completions."""

    model: Annotated[str, Field(max_length=300)]
    messages: Annotated[list[OpenAIMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    response_format: ResponseFormat | None = None
    modalities: list[Literal["text"]] | None = None
    tools: (
        Annotated[list[ToolIn], Field(max_length=MAX_TOOLS), AfterValidator(_distinct)] | None
    ) = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    overflow: Annotated[
        Literal["trim", "error"],
        Field(description="an addition of qwell's: drop the oldest turns, or refuse (default)"),
    ] = "error"  # the API promises that all of the prompt is read, or an error

    @field_validator("top_logprobs")
    @classmethod
    def _logprobs_are_on(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and not info.data.get("logprobs"):
            raise ValueError("needs logprobs: true")
        return value

    @field_validator("stream_options")
    @classmethod
    def _is_streamed(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and not info.data.get("stream"):
            raise ValueError("needs stream: true")
        return value

    @field_validator("tool_choice")
    @classmethod
    def _has_a_tool(cls, value: Any, info: ValidationInfo) -> Any:
        chosen = value.function.name if isinstance(value, ToolChoice) else None
        names = [tool.function.name for tool in info.data.get("tools") or ()]
        check_choice(names, chosen, must=chosen is not None or value == "required")
        return value

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
            overflow=self.overflow,
            top_logprobs=(self.top_logprobs or 0) if self.logprobs else None,
            tools=tuple(tool.to_core() for tool in self._tools_on_offer()),
            must_call=self.tool_choice == "required" or isinstance(self.tool_choice, ToolChoice),
            one_call=self.parallel_tool_calls is False or isinstance(self.tool_choice, ToolChoice),
            reply_schema=_reply_schema(self.response_format),
        )

    def _tools_on_offer(self) -> list[ToolIn]:
        if self.tool_choice == "none":
            return []
        if isinstance(self.tool_choice, ToolChoice):
            name = self.tool_choice.function.name
            return [tool for tool in self.tools or () if tool.function.name == name]
        return self.tools or []


def _reply_schema(wanted: ResponseFormat | None) -> Mapping[str, Any] | None:
    if isinstance(wanted, JsonObjectFormat):
        return {"type": "object"}
    if isinstance(wanted, JsonSchemaFormat):
        return wanted.json_schema.schema_ or {"type": "object"}
    return None


def tool_to_core(
    name: str, description: str | None, parameters: Mapping[str, Any] | None
) -> dict[str, Any]:
    """A tool as the model's template shows it, in the order that it was trained on."""
    function: dict[str, Any] = {"name": name}
    if description is not None:
        function["description"] = description
    function["parameters"] = parameters or {"type": "object", "properties": {}}
    return {"type": "function", "function": function}


def call_to_core(name: str, arguments: str) -> dict[str, Any]:
    """A call as the model's template reads it."""
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def check_distinct(names: list[str]) -> None:
    """Raises ValueError when two tools have one name."""
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two tools named {min(twice)!r}")


def check_choice(names: list[str], chosen: str | None, *, must: bool) -> None:
    """Raises ValueError when a call is asked for that no tool can answer."""
    if must and not names:
        raise ValueError("tool_choice asks for a call, but there are no tools")
    if chosen is not None and chosen not in names:
        raise ValueError(f"tool_choice names {chosen!r}, which is none of the tools")
