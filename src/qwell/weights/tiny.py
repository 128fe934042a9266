"""Random models of a few kilobytes, for tests of everything that needs a model.

The tokenizer knows single bytes and the three ChatML tokens. The weights mean nothing, but they
are as large as a trained model's, so logits are finite and differ between tokens.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from qwell.weights.convert import Quant, write_pack
from qwell.weights.source import Source, Tensor, from_array, matrices

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)


def byte_letters() -> list[str]:
    """The letter that byte-level BPE writes for each byte 0..255.

    Printable Latin-1 stands for itself; the others take the letters from U+0100 on.
    """
    own = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    strangers = (chr(0x100 + i) for i in range(256))
    return [chr(b) if b in own else next(strangers) for b in range(256)]


def tokenizer_json() -> str:
    """tokenizer.json with the 256 bytes as ids 0..255 and the special tokens behind them."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False}
    added = [
        {
            "id": 256 + i, "content": word, "single_word": False, "lstrip": False,
            "rstrip": False, "normalized": False, "special": True,
        }
        for i, word in enumerate(SPECIAL)
    ]  # fmt: skip
    return json.dumps(
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": added,
            "normalizer": None,
            "pre_tokenizer": {**byte_level, "use_regex": False},
            "post_processor": None,
            "decoder": {**byte_level, "use_regex": False},
            "model": {
                "type": "BPE",
                "vocab": {letter: i for i, letter in enumerate(byte_letters())},
                "merges": [],
            },
        },
        ensure_ascii=False,
    )


def tiny_source(config: dict[str, Any], *, seed: int) -> Source:
    """Random float32 weights for a config in Hugging Face's field names."""
    rng = np.random.default_rng(seed)
    tensors = {name: _random_tensor(rng, name, shape) for name, shape in matrices(config).items()}
    return Source(
        path=Path("tiny"),
        name="tiny",
        config=config,
        tensors=tensors,
        tokenizer={"json": tokenizer_json()},
        chat_template=CHAT_TEMPLATE,
        generation_config={"temperature": 0.7, "top_p": 0.8, "top_k": 20},
        stop_ids=(258, 256),
    )


def _random_tensor(rng: np.random.Generator, name: str, shape: tuple[int, int]) -> Tensor:
    n_inputs = shape[1]
    noise = rng.standard_normal(shape, np.float32)
    if name.endswith("norm.weight"):
        return from_array(1 + np.float32(0.1) * noise)
    if name.endswith(".bias"):
        return from_array(np.float32(0.2) * noise)
    return from_array(noise * np.float32(n_inputs**-0.5))


def tiny_config(
    *,
    n_layer: int = 2,
    n_embd: int = 64,
    n_head: int = 4,
    n_kv_head: int = 2,
    head_dim: int = 16,
    n_ff: int = 128,
    n_vocab: int = 259,
    n_ctx: int = 1024,
    tied: bool = True,
    rope_theta: float = 1_000_000.0,
) -> dict[str, Any]:
    """head_dim a multiple of 16; n_embd, n_ff and n_head * head_dim multiples of 64."""
    assert head_dim % 16 == 0
    assert n_embd % 64 == n_ff % 64 == (n_head * head_dim) % 64 == 0
    assert n_vocab >= 259
    return {
        "model_type": "qwen2",
        "vocab_size": n_vocab,
        "hidden_size": n_embd,
        "num_hidden_layers": n_layer,
        "num_attention_heads": n_head,
        "num_key_value_heads": n_kv_head,
        "head_dim": head_dim,
        "intermediate_size": n_ff,
        "max_position_embeddings": n_ctx,
        "tie_word_embeddings": tied,
        "rope_theta": rope_theta,
        "rms_norm_eps": 1e-6,
    }


def write_tiny_pack(path: Path, *, seed: int = 0, quant: Quant = "q8", **shape: Any) -> Path:
    """Write a random model as a pack; ``shape`` as in tiny_config. Returns path."""
    source = tiny_source(tiny_config(**shape), seed=seed)
    with path.open("wb") as file:
        write_pack(
            file, source, quant, origin={"origin": "random", "path": "", "digest": str(seed)},
        )  # fmt: skip
    return path
