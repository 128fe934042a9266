"""Notices an answer that says what an earlier one said, though the question was another.

Compares openings: small models that are lost in a conversation begin with the same apology to
whatever is asked. Knows messages only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from qwell.core import Message

_OPENING = re.compile(r"[^.!?。！？\n]+")
_STOCK = re.compile(
    r"as an? (ai|artificial|large language|assistant)|(i'?m|i am) (very |really |so )?sorry"
    r"|sorry|i apologi[sz]e|i (can'?t|cannot|can not|am unable|'?m unable)|i am an? (ai|large)"
    r"|作为(一个|一名|一款)?(人工智能|ai|语言模型|大模型|助手)|(很|非常|十分)?抱歉|对不起|我无法|我不能"
)
_LEAST_OPENING = 12  # characters; a CJK character counts for two
_LEAST_WHOLE = 40  # the same, of an answer that is repeated as a whole


def is_boilerplate(answer: str, messages: Sequence[Message]) -> bool:
    """Whether answer repeats an earlier one to another question: its stock opening, or all of it.

    messages   the conversation before the answer, the question last
    """
    question = next((m.content for m in reversed(messages) if m.role == "user"), "")
    return any(
        _same(answer, earlier)
        for asked, earlier in _exchanges(messages)
        if _plain(asked) != _plain(question)
    )


def _exchanges(messages: Sequence[Message]) -> Iterator[tuple[str, str]]:
    """Questions with their answers, in order."""
    question = ""
    for message in messages:
        if message.role == "user":
            question = message.content
        elif message.role == "assistant" and question and message.content:
            yield question, message.content


def _same(left: str, right: str) -> bool:
    left, right = _plain(left), _plain(right)
    if left == right:
        return _width(left) >= _LEAST_WHOLE
    opening = _opening(left)
    is_stock = _STOCK.match(opening) is not None and _width(opening) >= _LEAST_OPENING
    return is_stock and opening == _opening(right)


def _opening(text: str) -> str:
    found = _OPENING.match(text)
    return found[0] if found else ""


def _plain(text: str) -> str:
    return " ".join(text.replace("\u2019", "'").casefold().split())


def _width(text: str) -> int:
    return sum(2 if character >= "\u2e80" else 1 for character in text)
