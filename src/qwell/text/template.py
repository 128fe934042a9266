"""Messages to the exact text and ids that a model was trained on.

Knows the chat template and which of its text is control; knows nothing of context sizes.
What a person or a tool wrote stays plain text: only the template can write a special token.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from jinja2 import TemplateError

from qwell.core import Message
from qwell.errors import QwellError
from qwell.text.sandbox import BoundedEnvironment, Refusal
from qwell.text.tokenizer import Tokenizer

Tool = Mapping[str, Any]
# Unicode's noncharacters come first: no text that a person sends should hold one
_MARKS = (*range(0xFDD0, 0xFDF0), *range(0xE000, 0xF900), *range(0xF0000, 0xFFFFE))


class ChatTemplate:
    """One model's chat template. render is safe from any thread.

    source   the Jinja text as it came with the model
    Raises QwellError: chat-template-missing for an empty source, chat-template-wrong for one
    that does not compile.
    """

    def __init__(self, source: str | None) -> None:
        if not source or not source.strip():
            raise _missing()
        self.source = source
        self._lock = threading.Lock()
        self._environment = BoundedEnvironment()
        try:
            self._template = self._environment.compiled(source)
        except (TemplateError, RecursionError) as error:
            raise _wrong(f"a chat template that is not valid Jinja: {error}") from error

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] = (),
        *,
        add_generation_prompt: bool = True,
        continue_last: bool = False,
    ) -> str:
        """The prompt as text.

        continue_last   end inside the last message, to go on with it, and open no new turn
        Raises QwellError: invalid-request-body when the template refuses the messages,
        chat-template-wrong when it fails.
        """
        turns = [_turn(message) for message in messages]
        mark = self._unused_mark([turns, list(tools)])
        return self._prompt(turns, list(tools), mark, add_generation_prompt, continue_last)

    def encode(
        self,
        tokenizer: Tokenizer,
        messages: Sequence[Message],
        tools: Sequence[Tool] = (),
        *,
        add_generation_prompt: bool = True,
        continue_last: bool = False,
    ) -> list[int]:
        """The prompt as ids. Special tokens come from the template alone. Raises as render."""
        plain = [[_turn(message) for message in messages], list(tools)]
        mark = self._unused_mark(plain)
        turns, kept_tools = _defused(plain, tokenizer.specials, mark)
        prompt = self._prompt(turns, kept_tools, mark, add_generation_prompt, continue_last)
        ids: list[int] = []
        for text, special in _pieces(prompt, tokenizer.specials):
            ids += tokenizer.encode(text.replace(mark, ""))
            ids += [tokenizer.specials[special]] if special else []
        return ids

    def _prompt(
        self,
        turns: list[dict[str, Any]],
        tools: list[Tool],
        mark: str,
        add_generation_prompt: bool,
        continue_last: bool,
    ) -> str:
        if not continue_last:
            return self._run(turns, tools, add_generation_prompt=add_generation_prompt)
        if not turns:
            raise _refused("there is no message to continue")
        # Doubled, the mark differs from the single ones that keep special tokens apart.
        end = mark * 2 + " "
        turns[-1]["content"] += end
        prompt = self._run(turns, tools, add_generation_prompt=False)
        kept, found, rest = prompt.rpartition(mark * 2)
        if not found:
            raise _wrong("a chat template that leaves out the last message")
        # a template that strips messages strips the one to continue as well
        return kept if rest.startswith(" ") else kept.rstrip()

    def _run(
        self, turns: list[dict[str, Any]], tools: list[Tool], *, add_generation_prompt: bool
    ) -> str:
        data = {
            "messages": turns,
            "tools": tools or None,
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
        }
        try:
            with self._lock:
                return self._environment.render(self._template, data)
        except Refusal as refusal:
            raise _refused(str(refusal)) from refusal
        except Exception as error:  # a template is a program: it may fail in any way
            raise _wrong(f"a chat template that fails: {type(error).__name__}: {error}") from error

    def _unused_mark(self, data: Any) -> str:
        """A character that occurs in none of the texts."""
        used = set(self.source).union(*_strings(data))
        return next(chr(code) for code in _MARKS if chr(code) not in used)


def _turn(message: Message) -> dict[str, Any]:
    turn = message.to_template()
    if message.tool_calls:
        turn["tool_calls"] = [_with_parsed_arguments(call) for call in message.tool_calls]
    return turn


def _with_parsed_arguments(call: Mapping[str, Any]) -> dict[str, Any]:
    """OpenAI's API carries arguments as JSON in a string; templates want the object."""
    plain = dict(call)
    if isinstance(plain.get("function"), Mapping):
        plain["function"] = _with_parsed_arguments(plain["function"])
    elif isinstance(plain.get("arguments"), str):
        try:
            plain["arguments"] = json.loads(plain["arguments"])
        except ValueError:
            return plain  # not JSON: shown to the model as the string it is
    return plain


def _strings(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield from _strings(key)
            yield from _strings(value)
    elif isinstance(data, list | tuple):
        for item in data:
            yield from _strings(item)


def _defused(data: Any, specials: Iterable[str], mark: str) -> Any:
    """The same data, with the mark inside whatever reads or ends like the start of a special."""
    specials = tuple(specials)
    starts = {special[:n] for special in specials for n in range(1, len(special))}
    longest = max(map(len, starts), default=0)
    first_characters = {special[0] for special in specials}
    whole = _any_of(specials)

    def defuse(value: Any) -> Any:
        if isinstance(value, str):
            if not any(character in value for character in first_characters):
                return value
            value = whole.sub(lambda found: found[0][0] + mark + found[0][1:], value)
            ends = any(value[-n:] in starts for n in range(1, min(longest, len(value)) + 1))
            return value + mark if ends else value
        if isinstance(value, Mapping):
            return {defuse(key): defuse(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [defuse(item) for item in value]
        return value

    return defuse(data)


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")


def _pieces(prompt: str, specials: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Plain text and the special token after it, which is empty after the last text."""
    at = 0
    for found in _any_of(specials).finditer(prompt):
        yield prompt[at : found.start()], found[0]
        at = found.end()
    yield prompt[at:], ""


def _missing() -> QwellError:
    return QwellError(
        "chat-template-missing",
        found="a model without a chat template",
        expected="chat_template in tokenizer_config.json or in the GGUF file",
        fix="use an Instruct model: qwell pull Qwen/Qwen2.5-0.5B-Instruct",
    )


def _wrong(found: str) -> QwellError:
    return QwellError(
        "chat-template-wrong",
        found=found,
        expected="the chat template that came with the weights",
        fix="download the model again: qwell pull",
    )


def _refused(reason: str) -> QwellError:
    return QwellError(
        "invalid-request-body",
        found=f"messages that the model's chat template refuses: {reason}",
        expected="messages in the order and roles that the template knows",
        fix="correct the messages of the request",
    )
