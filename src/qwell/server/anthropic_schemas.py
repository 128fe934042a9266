"""The part of Anthropic's messages API that is served, and how it becomes a core.Request.

What would change the answer but is not supported is refused. cache_control is accepted and has
nothing to do: prefixes are cached always.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from qwell.core import Message, Request, Sampling
from qwell.server.json_schema import Schema
from qwell.server.openai_schemas import (
    MAX_CALLS,
    MAX_TOOLS,
    CallId,
    FunctionName,
    Text,
    call_to_core,
    check_choice,
    check_distinct,
    tool_to_core,
)
from qwell.server.schemas import MAX_MESSAGES, MAX_TOKENS, Stop, Strict


class Cached(Strict):
    cache_control: dict[str, Any] | None = None


class TextBlock(Cached):
    type: Literal["text"]
    text: Text
    citations: None = None


class ToolUseBlock(Cached):
    type: Literal["tool_use"]
    id: CallId
    name: FunctionName
    input: Schema


TextBlocks = Annotated[list[TextBlock], Field(max_length=1000)]


class ToolResultBlock(Cached):
    type: Literal["tool_result"]
    tool_use_id: CallId
    content: Text | TextBlocks | None = None
    is_error: bool | None = None

    def to_core(self) -> Message:
        return Message("tool", ("Error: " if self.is_error else "") + joined(self.content))


Block = Annotated[TextBlock | ToolUseBlock | ToolResultBlock, Field(discriminator="type")]


class AnthropicMessage(Strict):
    role: Literal["user", "assistant"]
    content: Text | Annotated[list[Block], Field(max_length=MAX_CALLS)]

    @field_validator("content")
    @classmethod
    def _blocks_fit_the_role(cls, value: Any, info: ValidationInfo) -> Any:
        wrong = {"user": ToolUseBlock, "assistant": ToolResultBlock}.get(info.data.get("role", ""))
        if wrong and not isinstance(value, str) and any(isinstance(b, wrong) for b in value):
            raise ValueError(f"no {wrong.__name__} in a message of role {info.data['role']}")
        return value

    def to_core(self) -> list[Message]:
        """Results of tools become turns of their own, before what the person says to them."""
        if isinstance(self.content, str):
            return [Message(self.role, self.content)]
        text = "".join(b.text for b in self.content if isinstance(b, TextBlock))
        calls = tuple(
            call_to_core(b.name, _json(b.input))
            for b in self.content
            if isinstance(b, ToolUseBlock)
        )
        results = [b.to_core() for b in self.content if isinstance(b, ToolResultBlock)]
        said = [Message(self.role, text, calls)] if text or calls or not results else []
        return results + said


class AnthropicTool(Cached):
    name: FunctionName
    description: Text | None = None
    input_schema: Schema
    type: Literal["custom"] | None = None
    strict: bool | None = None  # every call follows its schema, asked for or not


class AnyChoice(Strict):
    type: Literal["auto", "any"]
    disable_parallel_tool_use: bool | None = None


class NoChoice(Strict):
    type: Literal["none"]


class NamedChoice(Strict):
    type: Literal["tool"]
    name: FunctionName
    disable_parallel_tool_use: bool | None = None


Choice = Annotated[AnyChoice | NoChoice | NamedChoice, Field(discriminator="type")]


class Thinking(Strict):
    type: Literal["disabled"]


class CountIn(Strict):
    """Body of POST /v1/messages/count_tokens: what is counted of a message."""

    model: Annotated[str, Field(max_length=300)]
    messages: Annotated[list[AnthropicMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
    system: Text | TextBlocks | None = None
    tools: Annotated[list[AnthropicTool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Choice | None = None
    thinking: Thinking | None = None

    @field_validator("tools")
    @classmethod
    def _names_differ(cls, value: list[AnthropicTool] | None) -> list[AnthropicTool] | None:
        check_distinct([tool.name for tool in value or ()])
        return value

    @field_validator("tool_choice")
    @classmethod
    def _has_a_tool(cls, value: Any, info: ValidationInfo) -> Any:
        chosen = value.name if isinstance(value, NamedChoice) else None
        must = value is not None and value.type in ("any", "tool")
        check_choice([tool.name for tool in info.data.get("tools") or ()], chosen, must=must)
        return value

    def to_prompt(self, request_id: str) -> Request:
        """The request as far as its prompt, and what may follow it, are concerned."""
        system = joined(self.system)
        head = [Message("system", system)] if system else []
        turns = [turn for message in self.messages for turn in message.to_core()]
        choice = self.tool_choice
        return Request(
            id=request_id,
            messages=(*head, *turns),
            tools=tuple(
                tool_to_core(tool.name, tool.description, tool.input_schema)
                for tool in self._tools_on_offer()
            ),
            must_call=choice is not None and choice.type in ("any", "tool"),
            one_call=isinstance(choice, AnyChoice | NamedChoice)
            and (choice.type == "tool" or bool(choice.disable_parallel_tool_use)),
            continue_last=self.messages[-1].role == "assistant" and not turns[-1].tool_calls,
            overflow="error",
        )

    def _tools_on_offer(self) -> list[AnthropicTool]:
        if isinstance(self.tool_choice, NoChoice):
            return []
        if isinstance(self.tool_choice, NamedChoice):
            return [tool for tool in self.tools or () if tool.name == self.tool_choice.name]
        return self.tools or []


class Metadata(Strict):
    user_id: str | None = None


class MessagesIn(CountIn):
    """Body of POST /v1/messages."""

    max_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)]
    stream: bool | None = None
    stop_sequences: Annotated[list[Stop], Field(max_length=16)] | None = None
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    metadata: Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None

    def to_core(self, request_id: str) -> Request:
        return replace(
            self.to_prompt(request_id),
            sampling=Sampling(temperature=self.temperature, top_p=self.top_p, top_k=self.top_k),
            max_tokens=self.max_tokens,
            stop=tuple(self.stop_sequences or ()),
        )


def joined(content: str | list[TextBlock] | None) -> str:
    """Text that may come in blocks."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(block.text for block in content)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
