"""The text side of a model from its pack's meta."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers.pre_tokenizers import ByteLevel

from qwell.errors import QwellError
from qwell.text import Text


def meta(**changes: Any) -> dict[str, Any]:
    tokens = [*sorted(ByteLevel.alphabet()), "<|endoftext|>", "<|im_end|>"]
    gguf = {"tokens": tokens, "token_types": [1] * 256 + [3, 3], "merges": [], "pre": "qwen2"}
    return {"tokenizer": {"gguf": gguf}, "chat_template": "{{ messages }}"} | changes


def test_meta_holds_all_there_is() -> None:
    config = {"temperature": 0.7}
    text = Text.from_meta(meta(name="tiny", generation_config=config, stop_ids=[5]))
    assert (text.name, text.generation_config) == ("tiny", config)
    assert text.template.source == "{{ messages }}"
    assert text.stop_ids == {5, 256, 257}


def test_an_answer_ends_at_both_of_qwens_tokens_whatever_meta_says() -> None:
    assert Text.from_meta(meta()).stop_ids == {256, 257}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"tokenizer": None}, "tokenizer-missing"),
        ({"chat_template": ""}, "chat-template-missing"),
        ({"chat_template": "{% if"}, "chat-template-wrong"),
    ],
)
def test_what_is_missing_is_named(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(QwellError) as caught:
        Text.from_meta(meta(**changes))
    assert caught.value.fault == fault


def test_a_model_that_cannot_end_an_answer_is_refused() -> None:
    plain = meta()
    plain["tokenizer"]["gguf"]["tokens"][256:] = ["<a>", "<b>"]
    with pytest.raises(QwellError) as caught:
        Text.from_meta(plain)
    assert caught.value.fault == "stop-token-missing"


@pytest.mark.weights
def test_the_real_model_ends_at_both_tokens(real_text: Text) -> None:
    assert real_text.stop_ids == {151643, 151645}
