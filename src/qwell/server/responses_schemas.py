"""The part of OpenAI's responses API that is served, and how it becomes a core.Request.

Nothing is stored: a conversation is sent whole with every request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator

from qwell.core import Message, Request, Role, Sampling
from qwell.server.json_schema import Schema
from qwell.server.openai_schemas import (
    MAX_TOOLS,
    CallId,
    FunctionName,
    JsonObjectFormat,
    Text,
    TextFormat,
    call_to_core,
    check_choice,
    check_distinct,
    tool_to_core,
)
from qwell.server.schemas import MAX_MESSAGES, MAX_TOKENS, Strict

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
Status = Literal["in_progress", "completed", "incomplete"]


class TextContent(Strict):
    type: Literal["input_text", "output_text"]
    text: Text
    annotations: Annotated[list[Any], Field(max_length=0)] | None = None
    logprobs: Annotated[list[Any], Field(max_length=0)] | None = None


Contents = Annotated[list[TextContent], Field(max_length=1000)]


class MessageItem(Strict):
    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: Text | Contents
    id: CallId | None = None
    status: Status | None = None
    phase: None = None


class CallItem(Strict):
    type: Literal["function_call"]
    call_id: CallId
    name: FunctionName
    arguments: Text
    id: CallId | None = None
    status: Status | None = None
    namespace: None = None
    caller: None = None


class CallOutputItem(Strict):
    type: Literal["function_call_output"]
    call_id: CallId
    output: Text | Contents
    id: CallId | None = None
    status: Status | None = None


def _kind(item: Any) -> str:
    """A message needs no type."""
    given = item.get("type") if isinstance(item, dict) else getattr(item, "type", None)
    return "message" if given is None else str(given)


Item = Annotated[
    Annotated[MessageItem, Tag("message")]
    | Annotated[CallItem, Tag("function_call")]
    | Annotated[CallOutputItem, Tag("function_call_output")],
    Discriminator(_kind),
]
Items = Annotated[list[Item], Field(min_length=1, max_length=MAX_MESSAGES)]


class FunctionTool(Strict):
    type: Literal["function"]
    name: FunctionName
    description: Text | None = None
    parameters: Schema | None = None
    strict: bool | None = None  # every call follows its schema, asked for or not


class NamedTool(Strict):
    type: Literal["function"]
    name: FunctionName


class SchemaFormat(Strict):
    type: Literal["json_schema"]
    name: Annotated[str, Field(max_length=64)]
    schema_: Annotated[Schema, Field(alias="schema")]
    description: Text | None = None
    strict: bool | None = None


class TextOptions(Strict):
    format: Annotated[
        TextFormat | JsonObjectFormat | SchemaFormat | None, Field(discriminator="type")
    ] = None


class ResponseIn(Strict):
    """Body of POST /v1/responses."""

    model: Annotated[str, Field(max_length=300)]
    input: Text | Items
    instructions: Text | None = None
    stream: bool | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    text: TextOptions | None = None
    tools: Annotated[list[FunctionTool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    truncation: Literal["auto", "disabled"] | None = None
    store: bool | None = Field(default=None, description="accepted; nothing is stored")
    background: Literal[False] | None = None
    include: Annotated[list[Any], Field(max_length=0)] | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None

    @field_validator("tools")
    @classmethod
    def _names_differ(cls, value: list[FunctionTool] | None) -> list[FunctionTool] | None:
        check_distinct([tool.name for tool in value or ()])
        return value

    @field_validator("tool_choice")
    @classmethod
    def _has_a_tool(cls, value: Any, info: ValidationInfo) -> Any:
        chosen = value.name if isinstance(value, NamedTool) else None
        names = [tool.name for tool in info.data.get("tools") or ()]
        check_choice(names, chosen, must=chosen is not None or value == "required")
        return value

    def to_core(self, request_id: str) -> Request:
        head = [Message("system", self.instructions)] if self.instructions else []
        chosen = isinstance(self.tool_choice, NamedTool)
        return Request(
            id=request_id,
            messages=(*head, *_turns(self.input)),
            sampling=Sampling(temperature=self.temperature, top_p=self.top_p),
            max_tokens=self.max_output_tokens,
            overflow="trim" if self.truncation == "auto" else "error",
            tools=tuple(
                tool_to_core(tool.name, tool.description, tool.parameters)
                for tool in self._tools_on_offer()
            ),
            must_call=chosen or self.tool_choice == "required",
            one_call=chosen or self.parallel_tool_calls is False,
            reply_schema=self._reply_schema(),
        )

    def _tools_on_offer(self) -> list[FunctionTool]:
        if self.tool_choice == "none":
            return []
        if isinstance(self.tool_choice, NamedTool):
            return [tool for tool in self.tools or () if tool.name == self.tool_choice.name]
        return self.tools or []

    def _reply_schema(self) -> Mapping[str, Any] | None:
        wanted = self.text.format if self.text else None
        if isinstance(wanted, SchemaFormat):
            return wanted.schema_
        return {"type": "object"} if isinstance(wanted, JsonObjectFormat) else None


def _turns(given: str | list[MessageItem | CallItem | CallOutputItem]) -> list[Message]:
    """Items as turns: calls belong to the assistant's turn before them, or make one."""
    if isinstance(given, str):
        return [Message("user", given)]
    turns: list[Message] = []
    for item in given:
        match item:
            case MessageItem():
                turns.append(Message(_ROLES[item.role], _joined(item.content)))
            case CallOutputItem():
                turns.append(Message("tool", _joined(item.output)))
            case CallItem():
                if not turns or turns[-1].role != "assistant":
                    turns.append(Message("assistant", ""))
                calls = (*turns[-1].tool_calls, call_to_core(item.name, item.arguments))
                turns[-1] = replace(turns[-1], tool_calls=calls)
    return turns


def _joined(content: str | list[TextContent]) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content)
