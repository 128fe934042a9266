"""Messages to prompts, against Transformers and against people who type special tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwell.core import Message
from qwell.errors import QwellError
from qwell.text import ChatTemplate, Text, Tokenizer
from qwell.text.template import Tool

WEATHER: Tool = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Wetter & 天气 <now>",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": {"city": "北京"}},
}
SYSTEM = Message("system", "You are terse.\n")
HELLO = Message("user", "Hello <b>&amp; 'you'</b> 你好 😀")
ANSWER = Message("assistant", " Hi! ")
TOOL_TURN = (
    Message("assistant", "", (CALL,)),
    Message("tool", '{"t": 20}'),
    Message("tool", "second result"),
    Message("assistant", "20 degrees", (CALL, CALL)),
    Message("tool", "last"),
)


@dataclass(frozen=True)
class Chat:
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    add_generation_prompt: bool = True
    continue_last: bool = False


CHATS = {
    "one question": Chat((HELLO,)),
    "no answer asked": Chat((HELLO,), add_generation_prompt=False),
    "system": Chat((SYSTEM, HELLO)),
    "several turns": Chat((SYSTEM, HELLO, ANSWER, HELLO)),
    "system later": Chat((HELLO, SYSTEM, HELLO)),
    "tools": Chat((HELLO,), (WEATHER,)),
    "tools and system": Chat((SYSTEM, HELLO), (WEATHER, WEATHER)),
    "tool results": Chat((HELLO, *TOOL_TURN), (WEATHER,)),
    "tool results without tools": Chat((SYSTEM, HELLO, *TOOL_TURN)),
    "continued": Chat((HELLO, Message("assistant", "Once upon")), (), continue_last=True),
    "continued after a space": Chat((HELLO, Message("assistant", "Once ")), continue_last=True),
    "continued from nothing": Chat((HELLO, Message("assistant", "")), continue_last=True),
}
every_chat = pytest.mark.parametrize("chat", CHATS.values(), ids=list(CHATS))


def rendered(template: ChatTemplate, chat: Chat) -> str:
    return template.render(
        chat.messages,
        chat.tools,
        add_generation_prompt=chat.add_generation_prompt,
        continue_last=chat.continue_last,
    )


def encoded(template: ChatTemplate, tokenizer: Tokenizer, chat: Chat) -> list[int]:
    return template.encode(
        tokenizer,
        chat.messages,
        chat.tools,
        add_generation_prompt=chat.add_generation_prompt,
        continue_last=chat.continue_last,
    )


def rendered_by_transformers(source: str, chat: Chat) -> str:
    from transformers.utils.chat_template_utils import render_jinja_template

    prompts, _ = render_jinja_template(
        conversations=[[message.to_template() for message in chat.messages]],
        tools=list(chat.tools) or None,
        chat_template=source,
        add_generation_prompt=chat.add_generation_prompt and not chat.continue_last,
        continue_final_message=chat.continue_last,
    )
    return str(prompts[0])


@every_chat
def test_prompt_equals_that_of_transformers(
    template: ChatTemplate, official_source: str, chat: Chat
) -> None:
    assert rendered(template, chat) == rendered_by_transformers(official_source, chat)


@pytest.mark.weights
@every_chat
def test_ids_equal_those_of_transformers(real_text: Text, reference: Any, chat: Chat) -> None:
    prompt = rendered_by_transformers(real_text.template.source, chat)
    expected = reference.encode(prompt, add_special_tokens=False)
    assert encoded(real_text.template, real_text.tokenizer, chat) == expected


@pytest.mark.weights
def test_the_model_carries_the_official_template(real_text: Text, official_source: str) -> None:
    assert real_text.template.source == official_source


@every_chat
def test_ids_read_as_the_prompt(
    template: ChatTemplate,
    tokenizer: Tokenizer,
    chat: Chat,
    decode: Callable[[Tokenizer, list[int]], str],
) -> None:
    assert decode(tokenizer, encoded(template, tokenizer, chat)) == rendered(template, chat)


pieces = st.sampled_from(
    ["<|im_end|>", "<|im_start|>", "<|endoftext|>", "<|im_", "end|>", "<", "|", "x", "\ufdd0", "\n"]
)
hostile = st.lists(pieces, max_size=6).map("".join)


@given(contents=st.lists(hostile, min_size=1, max_size=4), continue_last=st.booleans())
def test_what_people_write_never_becomes_control(
    template: ChatTemplate, contents: Sequence[str], continue_last: bool
) -> None:
    tokenizer = Tokenizer.byte_level()
    harmless = [Message("user", "x") for _ in contents]
    messages = [Message("user", content) for content in contents]

    def control(messages: Sequence[Message]) -> list[int]:
        ids = template.encode(tokenizer, messages, continue_last=continue_last)
        return [i for i in ids if i in tokenizer.control]

    assert control(messages) == control(harmless)
    ids = template.encode(tokenizer, messages, continue_last=continue_last)
    text = b"".join(map(tokenizer.token_bytes, ids)).decode()
    assert text == template.render(messages, continue_last=continue_last)


def test_special_tokens_in_tools_and_calls_stay_text(template: ChatTemplate) -> None:
    tokenizer = Tokenizer.byte_level()
    evil = "<|im_end|>"
    tool = {"type": "function", "function": {"name": evil, evil: [evil]}}
    call = {"type": "function", "function": {"name": evil, "arguments": {evil: evil}}}
    ids = template.encode(tokenizer, [Message("assistant", "", (call,))], [tool])
    prompt = template.render([Message("assistant", "", (call,))], [tool])
    assert b"".join(map(tokenizer.token_bytes, ids)).decode() == prompt
    assert ids.count(258) == 2  # the system turn's end and the assistant's


def test_arguments_given_as_json_text_reach_the_template_as_an_object(
    template: ChatTemplate,
) -> None:
    def prompt(arguments: Any) -> str:
        function = {"name": "f", "arguments": arguments}
        return template.render([Message("assistant", "", ({"function": function},))])

    assert prompt(json.dumps({"a": "b"})) == prompt({"a": "b"})
    assert '"arguments": "not json"' in prompt("not json")


@pytest.mark.parametrize("source", [None, "", " \n"])
def test_a_missing_template_is_named(source: str | None) -> None:
    with pytest.raises(QwellError) as caught:
        ChatTemplate(source)
    assert caught.value.fault == "chat-template-missing"


@pytest.mark.parametrize("source", ["{% for", "{{ 1 | no_such_filter }}", "{% endif %}"])
def test_a_broken_template_is_refused_at_once(source: str) -> None:
    with pytest.raises(QwellError) as caught:
        ChatTemplate(source)
    assert caught.value.fault == "chat-template-wrong"


@pytest.mark.parametrize("source", ["{{ missing.field }}", "{% include 'other' %}", "{{ 1 / 0 }}"])
def test_a_failing_template_is_named(source: str) -> None:
    with pytest.raises(QwellError) as caught:
        ChatTemplate(source).render([HELLO])
    assert caught.value.fault == "chat-template-wrong"


def test_a_refusal_of_the_template_is_the_requests_fault() -> None:
    template = ChatTemplate("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(QwellError, match="roles must alternate") as caught:
        template.render([HELLO])
    assert caught.value.fault == "invalid-request-body"


def test_nothing_to_continue_is_refused(template: ChatTemplate) -> None:
    with pytest.raises(QwellError) as caught:
        template.render([], continue_last=True)
    assert caught.value.fault == "invalid-request-body"


def test_a_template_that_drops_the_last_message_cannot_continue() -> None:
    with pytest.raises(QwellError) as caught:
        ChatTemplate("fixed").render([HELLO], continue_last=True)
    assert caught.value.fault == "chat-template-wrong"


def test_a_stripping_template_continues_from_the_stripped_text() -> None:
    template = ChatTemplate("{% for m in messages %}[{{ m.content | trim }}]{% endfor %}")
    assert template.render([Message("assistant", "Once ")], continue_last=True) == "[Once"
