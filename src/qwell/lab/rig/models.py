"""Tiny models of random weights that say printable text, as folders and as GGUF files.

What they say means nothing; that they say it at once is what matters here.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from qwell.weights.tiny import CHAT_TEMPLATE, SPECIAL, byte_letters, tiny_config, tiny_source
from qwell.weights.tiny import tokenizer_json as tiny_tokenizer

NAME = "tiny.gguf"
_PRINTABLE = range(0x61, 0x7B)
_GGUF_LAYER = {
    "attn_norm.weight": "input_layernorm.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "attn_q.weight": "self_attn.q_proj.weight",
    "attn_q.bias": "self_attn.q_proj.bias",
    "attn_k.weight": "self_attn.k_proj.weight",
    "attn_k.bias": "self_attn.k_proj.bias",
    "attn_v.weight": "self_attn.v_proj.weight",
    "attn_v.bias": "self_attn.v_proj.bias",
    "attn_output.weight": "self_attn.o_proj.weight",
    "ffn_gate.weight": "mlp.gate_proj.weight",
    "ffn_up.weight": "mlp.up_proj.weight",
    "ffn_down.weight": "mlp.down_proj.weight",
}


def _tensors(config: dict[str, Any]) -> dict[str, np.ndarray]:
    """Random ones, of which only letters come out.

    One direction is common to all embeddings, and only the rows of letters in the output point
    along it.
    """
    source = tiny_source(config, seed=7)
    whole = {name: t.floats(0, t.rows) for name, t in source.tensors.items()}
    found = {n: a[0] if "norm" in n or n.endswith("bias") else a for n, a in whole.items()}
    found["model.embed_tokens.weight"][:, 0] = 1.0
    found["model.norm.weight"][:] = 1.0
    head = found["lm_head.weight"]
    head[:, 0] = -2.0
    head[list(_PRINTABLE), 0] = 2.0
    return found


def config_of(**changes: Any) -> dict[str, Any]:
    return {
        **tiny_config(tied=False, n_vocab=264),
        "architectures": ["Qwen2ForCausalLM"],
        "torch_dtype": "float32",
        "hidden_act": "silu",
        "bos_token_id": 256,
        "eos_token_id": 258,
        "use_sliding_window": False,
        **changes,
    }


def write_folder(folder: Path, **changes: Any) -> Path:
    """As a hub has it: configuration, tokenizer, template and weights in one file."""
    folder.mkdir(parents=True, exist_ok=True)
    config = config_of(**changes)
    words = {
        "chat_template": CHAT_TEMPLATE,
        "eos_token": SPECIAL[2],
        "pad_token": SPECIAL[0],
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    documents = {
        "config.json": json.dumps(config),
        "tokenizer.json": tiny_tokenizer(),
        "tokenizer_config.json": json.dumps(words),
        "generation_config.json": json.dumps({"eos_token_id": [258, 256], "temperature": 0.7}),
    }
    for name, text in documents.items():
        (folder / name).write_text(text, encoding="utf-8")
    write_safetensors(folder / "model.safetensors", _tensors(config))
    return folder


def write_safetensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Eight bytes of length, the table, the numbers."""
    table, offset = {}, 0
    for name, array in tensors.items():
        ends = offset + array.nbytes
        table[name] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [offset, ends],
        }
        offset = ends
    head = json.dumps(table).encode()
    head += b" " * (-len(head) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for array in tensors.values():
            file.write(np.ascontiguousarray(array, "<f4").tobytes())


def write_gguf(
    path: Path, *, rounding: Callable[[np.ndarray], np.ndarray] | None = None, **changes: Any
) -> Path:
    """One file with everything in it.

    rounding: what becomes of each tensor; changes: keys to replace, or to leave out with None
    """
    import gguf

    config = config_of()
    keys: dict[str, Any] = {
        "qwen2.context_length": config["max_position_embeddings"],
        "qwen2.embedding_length": config["hidden_size"],
        "qwen2.block_count": config["num_hidden_layers"],
        "qwen2.feed_forward_length": config["intermediate_size"],
        "qwen2.attention.head_count": config["num_attention_heads"],
        "qwen2.attention.head_count_kv": config["num_key_value_heads"],
        "qwen2.attention.layer_norm_rms_epsilon": 1e-6,
        "qwen2.attention.key_length": config["head_dim"],
        "qwen2.rope.freq_base": 1e6,
        "general.name": "Tiny Instruct",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": [
            *byte_letters(),
            *SPECIAL,
            *(f"<extra{i}>" for i in range(4)),
            "ab",
        ],
        "tokenizer.ggml.token_type": [1] * 256 + [3] * 7 + [1],
        "tokenizer.ggml.merges": ["a b"],
        "tokenizer.ggml.eos_token_id": 258,
        "tokenizer.chat_template": CHAT_TEMPLATE,
    }
    architecture = str(changes.pop("general.architecture", "qwen2"))
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in (keys | changes).items():
        _add(writer, key, value)
    names = _gguf_names(config["num_hidden_layers"])
    tensors = _tensors(config)
    for name, other in names.items():
        tensor = rounding(tensors[other]) if rounding else tensors[other]
        writer.add_tensor(name, np.ascontiguousarray(tensor))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(writer: Any, key: str, value: Any) -> None:
    if isinstance(value, list):
        writer.add_array(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif value is not None:
        writer.add_uint32(key, value)


def _gguf_names(n_layer: int) -> dict[str, str]:
    names = {
        "token_embd.weight": "model.embed_tokens.weight",
        "output.weight": "lm_head.weight",
        "output_norm.weight": "model.norm.weight",
    }
    for i in range(n_layer):
        names |= {f"blk.{i}.{g}": f"model.layers.{i}.{h}" for g, h in _GGUF_LAYER.items()}
    return names
