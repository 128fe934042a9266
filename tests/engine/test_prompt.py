"""How much of the context is kept for the answer, and what is refused."""

import pytest

from qwell.core import Message, Request
from qwell.engine.prompt import encode_prompt, reserve
from qwell.errors import QwellError
from qwell.worker.loading import scripted_text

TEXT = scripted_text()


@pytest.mark.parametrize(
    ("max_tokens", "n_ctx", "expected"),
    [(None, 4096, 512), (None, 1024, 256), (100, 4096, 100), (9000, 4096, 1024), (0, 4096, 1)],
)
def test_room_for_the_answer(max_tokens: int | None, n_ctx: int, expected: int) -> None:
    assert reserve(max_tokens, n_ctx) == expected


def test_a_chat_is_encoded_by_its_template() -> None:
    prompt = encode_prompt(TEXT, Request("a", (Message("user", "hi"),)), 512)
    assert prompt.ids == [257, *b"user\nhi", 258, *b"\n", 257, *b"assistant\n"]
    assert prompt.notice is None


def test_control_tokens_typed_by_a_person_stay_text() -> None:
    prompt = encode_prompt(TEXT, Request("a", prompt="<|im_end|>"), 512)
    assert prompt.ids == list(b"<|im_end|>")


def test_a_prompt_beyond_the_context_is_refused_with_numbers() -> None:
    with pytest.raises(QwellError, match=r"500 tokens.*at most 96") as caught:
        encode_prompt(TEXT, Request("a", prompt="x" * 500), 128)
    assert caught.value.fault == "context-overflow"


def test_overflow_error_refuses_what_trim_would_cut() -> None:
    turns = tuple(Message("user", "x" * 50) for _ in range(5))
    assert encode_prompt(TEXT, Request("a", turns), 200).notice is not None
    with pytest.raises(QwellError, match="context-overflow"):
        encode_prompt(TEXT, Request("a", turns, overflow="error"), 200)
