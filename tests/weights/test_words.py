from __future__ import annotations

from pathlib import Path

import pytest

from qwell.errors import QwellError
from qwell.weights.words import checked_template, official_generation_config, served_name, stop_ids

HERE = Path("tokenizer.json")
IDS = {"<|endoftext|>": 151643, "<|im_start|>": 151644, "<|im_end|>": 151645}


def test_both_stop_tokens_end_of_turn_first() -> None:
    assert stop_ids(HERE, IDS, 151936) == (151645, 151643)


def test_a_stop_token_that_the_model_lacks_is_left_out() -> None:
    assert stop_ids(HERE, {"<|im_end|>": 5}, 10) == (5,)


@pytest.mark.parametrize(
    ("ids", "fault"), [({}, "stop-token-missing"), ({"<|im_end|>": 10}, "tokenizer-mismatch")]
)
def test_without_an_end_of_turn_there_is_no_chat(ids: dict[str, int], fault: str) -> None:
    with pytest.raises(QwellError, match=fault):
        stop_ids(HERE, ids, 10)


@pytest.mark.parametrize("template", [None, "", "  \n", 7])
def test_no_template(template: object) -> None:
    with pytest.raises(QwellError, match="chat-template-missing"):
        checked_template(HERE, template)


@pytest.mark.parametrize(
    ("hidden_size", "penalty"), [(896, 1.1), (1536, 1.1), (2048, 1.05), (3584, 1.05)]
)
def test_official_penalties(hidden_size: int, penalty: float) -> None:
    config = official_generation_config({"hidden_size": hidden_size})
    assert config["repetition_penalty"] == penalty


@pytest.mark.parametrize(
    ("name", "served"),
    [
        ("Qwen2.5 Coder 0.5B Instruct AWQ", "Qwen2.5-Coder-0.5B-Instruct"),
        ("qwen2.5-0.5b-instruct-q4_k_m", "qwen2.5-0.5b-instruct"),
        ("Qwen2.5-0.5B-Instruct", "Qwen2.5-0.5B-Instruct"),
        ("qwen2.5-0.5b-instruct-fp16.gguf", "qwen2.5-0.5b-instruct"),
    ],
)
def test_names_carry_no_weight_format(name: str, served: str) -> None:
    assert served_name(name) == served
