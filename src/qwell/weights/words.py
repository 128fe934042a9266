"""A model's words: stop tokens, template and sampling defaults, found and checked.

Knows the names of Qwen's special tokens; tokenising itself is not its business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qwell.errors import QwellError

STOP_TOKENS = ("<|im_end|>", "<|endoftext|>")
_QUANT_NAME = re.compile(r"[-_ .](awq|gptq|gguf|q\d(_\w+)*|f16|bf16|fp16|int\d)$", re.IGNORECASE)


def stop_ids(path: Path, ids: Mapping[str, int], n_vocab: int) -> tuple[int, ...]:
    """The ids of all stop tokens that the vocabulary has, end of turn first.

    Raises QwellError ``stop-token-missing`` when the tokenizer has no end of a turn, and
    ``tokenizer-mismatch`` when it has one whose id the model does not know.
    """
    if STOP_TOKENS[0] not in ids:
        raise QwellError(
            "stop-token-missing",
            found=f"{path}: {STOP_TOKENS[0]} is not among the tokens",
            expected="the token that ends a turn, as Qwen2.5's chat models have it",
            fix="use the tokenizer files that came with the weights: `qwell pull`",
        )
    if ids[STOP_TOKENS[0]] >= n_vocab:
        raise QwellError(
            "tokenizer-mismatch",
            found=f"{path}: {STOP_TOKENS[0]} is no token of the model's {n_vocab} tokens",
            expected="the tokenizer of a Qwen2.5 chat model",
            fix="use the tokenizer files that came with the weights: `qwell pull`",
        )
    return tuple(ids[name] for name in STOP_TOKENS if ids.get(name, n_vocab) < n_vocab)


def checked_template(path: Path, template: object) -> str:
    """The chat template. Raises QwellError ``chat-template-missing``."""
    if not isinstance(template, str) or not template.strip():
        raise QwellError(
            "chat-template-missing",
            found=f"{path} has no chat template",
            expected="chat_template in tokenizer_config.json, chat_template.jinja, or "
            "tokenizer.chat_template in a GGUF file",
            fix="use an Instruct model, e.g. `--model Qwen/Qwen2.5-0.5B-Instruct`",
        )
    return template


def no_tokenizer(path: Path, found: str) -> QwellError:
    return QwellError(
        "tokenizer-missing",
        found=f"{path}: {found}",
        expected="tokenizer.json, or tokens and merges in a GGUF file",
        fix="fetch the complete model: `qwell pull`",
    )


def official_generation_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """What Qwen2.5's instruct models ship, for files that can't carry it.

    The 0.5B and 1.5B models have a higher repetition penalty than the larger ones.
    """
    small = config["hidden_size"] < 2048
    return {
        "temperature": 0.7,
        "top_p": 0.8,
        "top_k": 20,
        "repetition_penalty": 1.1 if small else 1.05,
    }


def served_name(name: str) -> str:
    """A model's name as clients write it: no spaces, no suffix that names a weight format."""
    plain = re.sub(r"\s+", "-", name.strip())
    while (shorter := _QUANT_NAME.sub("", plain)) != plain:
        plain = shorter
    return plain
