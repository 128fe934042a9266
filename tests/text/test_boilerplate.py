"""The same apology to another question is boilerplate; the same short answer is not."""

from __future__ import annotations

import pytest

from qwell.core import Message
from qwell.text.boilerplate import is_boilerplate

SORRY = "I'm sorry, but I can't assist with that."
CHINESE = "很抱歉，我无法回答这个问题。请换个话题。"


def talk(*texts: str) -> list[Message]:
    """Questions and answers in turns, a question last."""
    return [Message(("user", "assistant")[i % 2], text) for i, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("earlier", "answer"),
    [
        (SORRY, SORRY),
        (SORRY, "I’m sorry, but I can't assist with that. Anything else?"),  # noqa: RUF001  a model's apostrophe
        (CHINESE, CHINESE),
        (
            "As an AI language model, I don't eat. Ask a cook.",
            "As an AI language model, I don't eat.",
        ),
        ("The quick brown fox jumps over the lazy dog.",) * 2,
    ],
)
def test_the_same_opening_for_another_question(earlier: str, answer: str) -> None:
    assert is_boilerplate(answer, talk("first?", earlier, "second?"))
    assert is_boilerplate(answer, talk("first?", earlier, "aside", "Well, no.", "second?"))


@pytest.mark.parametrize(
    ("messages", "answer"),
    [
        (talk("again?", SORRY, "Again?"), SORRY),
        (talk("first?", "Yes.", "second?"), "Yes."),
        (talk("first?", "The sum is 4. Easy.", "second?"), "The sum is 4. Indeed it is so."),
        (talk("first?", SORRY, "second?"), "Paris."),
        (talk("first?"), SORRY),
        (talk("first?", "", "second?"), ""),
        ([], ""),
    ],
)
def test_what_is_none(messages: list[Message], answer: str) -> None:
    assert not is_boilerplate(answer, messages)
