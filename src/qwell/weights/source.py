"""What every kind of model file is read into: a shape, tensors to read by rows, and its words.

Names follow Hugging Face (``model.layers.0.self_attn.q_proj.weight``). Knows no file format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qwell.errors import QwellError
from qwell.weights.blocks import F32, TYPES, U8, BlockType
from qwell.weights.pack import PackConfig
from qwell.weights.planes import padded_rows

ARCHITECTURE = "qwen2"


@dataclass(frozen=True, slots=True)
class Tensor:
    """A matrix (rows, cols), or a vector with rows = 1.

    read(first, last) gives the raw bytes of rows first..last-1, flat; callable from any thread.
    """

    type: BlockType
    rows: int
    cols: int
    read: Callable[[int, int], U8]

    def blocks(self, first: int, last: int) -> U8:
        """Raw blocks of some rows, (n_blocks, block_bytes)."""
        return self.read(first, last).reshape(-1, self.type.block_bytes)

    def floats(self, first: int, last: int) -> F32:
        """(last - first, cols) float32."""
        return self.type.dequantize(self.blocks(first, last)).reshape(last - first, self.cols)


def from_array(array: F32) -> Tensor:
    """A tensor that lives in memory."""
    matrix = np.ascontiguousarray(np.atleast_2d(array), np.float32)

    def read(first: int, last: int) -> U8:
        return matrix[first:last].view(np.uint8).reshape(-1)

    return Tensor(TYPES["F32"], matrix.shape[0], matrix.shape[1], read)


@dataclass(frozen=True, slots=True)
class Source:
    """An opened model. close() must be called when its tensors are no longer needed."""

    path: Path
    name: str  # the served model name
    config: Mapping[str, Any]  # field names of Hugging Face's config.json
    tensors: Mapping[str, Tensor]
    tokenizer: Mapping[str, Any]  # {"json": text} or {"gguf": {...}}
    chat_template: str
    generation_config: Mapping[str, Any]
    stop_ids: tuple[int, ...]
    close: Callable[[], None] = field(default=lambda: None)


def pack_config(config: Mapping[str, Any]) -> PackConfig:
    """The shape in the pack's terms. config must hold the fields that checked_config gives."""
    return PackConfig(
        n_vocab=config["vocab_size"],
        n_embd=config["hidden_size"],
        n_layer=config["num_hidden_layers"],
        n_head=config["num_attention_heads"],
        n_kv_head=config["num_key_value_heads"],
        head_dim=config["head_dim"],
        n_ff=config["intermediate_size"],
        n_ctx_train=config["max_position_embeddings"],
        tied=int(config["tie_word_embeddings"]),
        n_vocab_padded=padded_rows(config["vocab_size"]),
        rope_theta=config["rope_theta"],
        rms_eps=config["rms_norm_eps"],
    )


def matrices(config: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Name and shape (rows, cols) of every tensor that the model must have; vectors have 1 row."""
    embd, ff = config["hidden_size"], config["intermediate_size"]
    q = config["num_attention_heads"] * config["head_dim"]
    kv = config["num_key_value_heads"] * config["head_dim"]
    layer = {
        "input_layernorm.weight": (1, embd),
        "post_attention_layernorm.weight": (1, embd),
        "self_attn.q_proj.weight": (q, embd),
        "self_attn.k_proj.weight": (kv, embd),
        "self_attn.v_proj.weight": (kv, embd),
        "self_attn.o_proj.weight": (embd, q),
        "self_attn.q_proj.bias": (1, q),
        "self_attn.k_proj.bias": (1, kv),
        "self_attn.v_proj.bias": (1, kv),
        "mlp.gate_proj.weight": (ff, embd),
        "mlp.up_proj.weight": (ff, embd),
        "mlp.down_proj.weight": (embd, ff),
    }
    shapes = {"model.embed_tokens.weight": (config["vocab_size"], embd)}
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (config["vocab_size"], embd)
    shapes["model.norm.weight"] = (1, embd)
    for i in range(config["num_hidden_layers"]):
        shapes.update({f"model.layers.{i}.{name}": shape for name, shape in layer.items()})
    return shapes


def check_tensors(source: Source) -> None:
    """Every tensor is there with the shape that the config asks for.

    Raises QwellError: ``weights-truncated`` for a missing one, ``weights-corrupt`` for a shape.
    """
    for name, shape in matrices(source.config).items():
        tensor = source.tensors.get(name)
        if tensor is None:
            raise QwellError(
                "weights-truncated",
                found=f"{source.path} has no tensor {name}",
                expected=f"all tensors of a {ARCHITECTURE} model",
                fix="download the model again: `qwell pull`",
            )
        if (tensor.rows, tensor.cols) != shape:
            raise QwellError(
                "weights-corrupt",
                found=f"{source.path}: tensor {name} is {tensor.rows} x {tensor.cols}",
                expected=f"{shape[0]} x {shape[1]}, as its configuration says",
                fix="use the configuration and weights of one model: `qwell pull`",
            )
