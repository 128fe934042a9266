"""Reads a GGUF file: its keys and the place of its tensors, checked against its size.

Knows the container and Qwen2's keys in it; block formats are in blocks.py. The ``gguf`` package
reads every string of the vocabulary into an array of its own, which takes ten seconds and half
a gigabyte for Qwen2.5, so the few record types of the header are read here; the tests compare
the two.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qwell.errors import QwellError
from qwell.weights.blocks import TYPES, U8, BlockType
from qwell.weights.impostor import first_bytes, not_a, refuse_impostor
from qwell.weights.shape import checked_config, refuse_other_architecture
from qwell.weights.source import Source, Tensor
from qwell.weights.words import (
    checked_template,
    no_tokenizer,
    official_generation_config,
    served_name,
    stop_ids,
)

MAGIC = b"GGUF"
_EXPECTED = "a GGUF file (version 2 or 3)"
_TYPE_NAMES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 8: "Q8_0",
    12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 30: "BF16",
}  # fmt: skip
_SCALARS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?",
    10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9
# What a header with changed bytes runs into: unknown numbers, keys of another type, deep nesting.
_NONSENSE = (KeyError, TypeError, ZeroDivisionError, OverflowError, RecursionError)
_Record = tuple[str, list[int], int, int]  # name, shape, type number, offset
_FIELDS = {
    "hidden_size": "embedding_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "intermediate_size": "feed_forward_length",
    "max_position_embeddings": "context_length",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    "rope_theta": "rope.freq_base",
    "head_dim": "attention.key_length",
}
_ROOT_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output.weight": "lm_head.weight",
    "output_norm.weight": "model.norm.weight",
}
_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


@dataclass(frozen=True, slots=True)
class _Place:
    """A tensor's type, shape and first byte in the file."""

    type: BlockType
    rows: int
    cols: int
    offset: int

    @property
    def end(self) -> int:
        return self.offset + self.rows * self.type.row_bytes(self.cols)


class _Cursor:
    """Reads records from the start of the file. Raises struct.error or IndexError at its end."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.at = 0

    def scalar(self, code: str) -> Any:
        (value,) = struct.unpack_from(code, self.data, self.at)
        self.at += struct.calcsize(code)
        return value

    def string(self) -> str:
        (n,) = struct.unpack_from("<Q", self.data, self.at)
        start = self.at + 8
        self.at = start + n
        if self.at > len(self.data):
            raise IndexError(self.at)
        return self.data[start : self.at].decode("utf-8", "surrogateescape")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            return self._array()
        return self.scalar(_SCALARS[kind])

    def _array(self) -> list[Any]:
        kind, n = self.scalar("<I"), self.scalar("<Q")
        if n > len(self.data):  # before a list of that length is tried
            raise IndexError(n)
        if kind in (_STRING, _ARRAY):
            return [self.value(kind) for _ in range(n)]
        code = f"<{n}{_SCALARS[kind][1]}"
        values = list(struct.unpack_from(code, self.data, self.at))
        self.at += struct.calcsize(code)
        return values


def open_gguf(path: Path, *, name: str | None = None) -> Source:
    """Open a GGUF file of a Qwen2 model; name overrides the one in the file.

    Raises QwellError: ``weights-truncated``, ``weights-corrupt``, ``unsupported-architecture``,
    ``tokenizer-missing``, ``tokenizer-mismatch``, ``chat-template-missing``, and what
    refuse_impostor raises.
    """
    keys, places = read_header(path)
    refuse_other_architecture(path, keys.get("general.architecture"))
    config = _config(path, keys, places)
    tokenizer = _tokenizer(path, keys, config["vocab_size"])
    ids = {token: i for i, token in enumerate(tokenizer["tokens"])}
    template = checked_template(path, keys.get("tokenizer.chat_template"))
    stops = stop_ids(path, ids, config["vocab_size"])
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    return Source(
        path=path,
        name=name or served_name(str(keys.get("general.name") or path.stem)),
        config=config,
        tensors={_hf_name(n): _tensor(path, descriptor, n, p) for n, p in places.items()},
        tokenizer={"gguf": tokenizer},
        chat_template=template,
        generation_config=official_generation_config(config),
        stop_ids=stops,
        close=lambda: os.close(descriptor),
    )


def read_header(path: Path) -> tuple[dict[str, Any], dict[str, _Place]]:
    """All keys, and the place of every tensor, each within the file."""
    refuse_impostor(path, _EXPECTED)
    if not first_bytes(path).startswith(MAGIC):
        raise not_a(path, _EXPECTED)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            keys, places = _parse(path, _Cursor(data))
        except (struct.error, IndexError, MemoryError) as error:
            raise _truncated(path, len(data), "a complete header") from error
        except _NONSENSE as error:
            raise _corrupt(path, f"a header record that can't be read ({error!r})") from error
        end = max((place.end for place in places.values()), default=0)
        if end > len(data):
            raise _truncated(path, len(data), f"{end:,} bytes, as its header says")
    return keys, places


def _parse(path: Path, cursor: _Cursor) -> tuple[dict[str, Any], dict[str, _Place]]:
    cursor.at = len(MAGIC)
    version = cursor.scalar("<I")
    if version not in (2, 3):
        raise _corrupt(path, f"GGUF version {version}")
    n_tensors, n_keys = cursor.scalar("<Q"), cursor.scalar("<Q")
    keys: dict[str, Any] = {}
    for _ in range(n_keys):
        key = cursor.string()
        keys[key] = cursor.value(cursor.scalar("<I"))
    if keys.get("split.count", 0) > 1:
        raise _not_supported(path, f"one of {keys['split.count']} parts of a split GGUF file")
    records = [_tensor_record(cursor) for _ in range(n_tensors)]
    alignment = keys.get("general.alignment", 32)
    start = -(-cursor.at // alignment) * alignment
    return keys, {r[0]: _place(path, start, r) for r in records}


def _tensor_record(cursor: _Cursor) -> _Record:
    name = cursor.string()
    shape = [cursor.scalar("<Q") for _ in range(cursor.scalar("<I"))]
    return name, shape, cursor.scalar("<I"), cursor.scalar("<Q")


def _place(path: Path, start: int, record: _Record) -> _Place:
    """The record's shape counts columns first."""
    name, shape, kind, offset = record
    if kind not in _TYPE_NAMES:
        raise _not_supported(path, f"tensor {name} of GGUF type number {kind}")
    block_type = TYPES[_TYPE_NAMES[kind]]
    if not 1 <= len(shape) <= 2 or shape[0] % block_type.block_values:
        raise _corrupt(path, f"tensor {name} of shape {shape} and type {block_type.name}")
    return _Place(block_type, shape[1] if len(shape) == 2 else 1, shape[0], start + offset)


def _hf_name(name: str) -> str:
    """Names that Qwen2 does not have stay as they are; nobody asks for them."""
    if name in _ROOT_NAMES:
        return _ROOT_NAMES[name]
    parts = name.split(".")
    if len(parts) == 4 and parts[0] == "blk" and parts[2] in _LAYER_NAMES:
        return f"model.layers.{parts[1]}.{_LAYER_NAMES[parts[2]]}.{parts[3]}"
    return name


def _config(path: Path, keys: Mapping[str, Any], places: Mapping[str, _Place]) -> dict[str, Any]:
    architecture = keys["general.architecture"]
    raw = {
        field: keys[f"{architecture}.{key}"]
        for field, key in _FIELDS.items()
        if f"{architecture}.{key}" in keys
    }
    if "token_embd.weight" in places:
        raw["vocab_size"] = places["token_embd.weight"].rows
    raw["tie_word_embeddings"] = "output.weight" not in places
    raw["rope_scaling"] = {"type": keys.get(f"{architecture}.rope.scaling.type", "none")}
    return checked_config(path, raw)


def _tokenizer(path: Path, keys: Mapping[str, Any], n_vocab: int) -> dict[str, Any]:
    tokens = keys.get("tokenizer.ggml.tokens")
    merges = keys.get("tokenizer.ggml.merges")
    if not isinstance(tokens, list) or not isinstance(merges, list):
        raise no_tokenizer(path, "no tokenizer.ggml.tokens or tokenizer.ggml.merges")
    kind = (keys.get("tokenizer.ggml.model"), keys.get("tokenizer.ggml.pre"))
    if kind != ("gpt2", "qwen2") or len(tokens) > n_vocab:
        raise QwellError(
            "tokenizer-mismatch",
            found=f"{path}: tokenizer {kind} of {len(tokens)} tokens for {n_vocab} embeddings",
            expected="('gpt2', 'qwen2') with at most as many tokens as embeddings",
            fix="use an official Qwen2.5 file: `qwell pull`",
        )
    return {
        "tokens": tokens,
        "token_types": keys.get("tokenizer.ggml.token_type", []),
        "merges": merges,
        "pre": "qwen2",
        "bos": keys.get("tokenizer.ggml.bos_token_id"),
        "eos": keys.get("tokenizer.ggml.eos_token_id"),
        "add_bos": bool(keys.get("tokenizer.ggml.add_bos_token", False)),
    }


def _tensor(path: Path, descriptor: int, name: str, place: _Place) -> Tensor:
    row_bytes = place.type.row_bytes(place.cols)

    def read(first: int, last: int) -> U8:
        n_bytes = (last - first) * row_bytes
        data = os.pread(descriptor, n_bytes, place.offset + first * row_bytes)
        if len(data) != n_bytes:
            raise _truncated(path, os.fstat(descriptor).st_size, f"all of tensor {name}")
        return np.frombuffer(data, np.uint8)

    return Tensor(place.type, place.rows, place.cols, read)


def _truncated(path: Path, size: int, expected: str) -> QwellError:
    return QwellError(
        "weights-truncated",
        found=f"{path} ends after {size:,} bytes",
        expected=expected,
        fix=f"delete it (`rm '{path}'`) and download it again: `qwell pull`",
    )


def _corrupt(path: Path, found: str) -> QwellError:
    return QwellError(
        "weights-corrupt",
        found=f"{path}: {found}",
        expected=_EXPECTED,
        fix=f"delete it (`rm '{path}'`) and download it again: `qwell pull`",
    )


def _not_supported(path: Path, found: str) -> QwellError:
    return QwellError(
        "unsupported-architecture",
        found=f"{path}: {found}",
        expected="one file with tensors of type " + ", ".join(_TYPE_NAMES.values()),
        fix="choose another file of the model, e.g. its q4_k_m, q5_0 or q8_0",
    )
