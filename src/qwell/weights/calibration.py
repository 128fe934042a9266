"""Which directions the final states of a model take, from one pass over a built-in text.

A Qwen2 forward pass in float32, over all passages at once so that each matrix is read once, and
in pieces so that memory stays bounded. Knows nothing of what the figures are used for.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qwell.errors import QwellError
from qwell.text import Tokenizer
from qwell.weights.blocks import F32
from qwell.weights.source import Source, Tensor

_PIECE_VALUES = 1 << 22  # weights held as float32 at once: 16 MB


def unwatched() -> None:
    """The layer_done of a caller who doesn't watch."""


def second_moments(
    source: Source, layer_done: Callable[[], None] = unwatched
) -> NDArray[np.float64]:
    """Mean of h h^T over the calibration text, (n_embd, n_embd); h is what the head multiplies.

    The first position of each passage is left out: its state is like no other. layer_done is called
    once for each layer.
    Raises QwellError: ``tokenizer-missing``, ``tokenizer-mismatch``, ``weights-corrupt`` when a
    state is not finite.
    """
    passages = calibration_ids(Tokenizer.from_meta(source.tokenizer))
    with np.errstate(over="ignore", invalid="ignore"):
        states = final_states(source, passages, layer_done)
    if not np.isfinite(states).all():
        raise _not_finite(source)
    kept = np.concatenate([states[rows][1:] for rows in _rows(passages)]).astype(np.float64)
    moments: NDArray[np.float64] = kept.T @ kept / len(kept)
    return moments


def calibration_ids(tokenizer: Tokenizer) -> list[list[int]]:
    """The ids of each passage, with the special tokens that its text names."""
    path = Path(__file__).with_name("calibration.toml")
    passages: dict[str, str] = tomllib.loads(path.read_text(encoding="utf-8"))
    return [_encode(tokenizer, text.strip()) for text in passages.values()]


def _encode(tokenizer: Tokenizer, text: str) -> list[int]:
    ids: list[int] = []
    for piece in re.split(r"(<\|\w+\|>)", text):
        special = tokenizer.id_of(piece)
        ids += tokenizer.encode(piece) if special is None else [special]
    return ids


def final_states(
    source: Source,
    passages: Sequence[Sequence[int]],
    layer_done: Callable[[], None] = unwatched,
) -> F32:
    """(tokens of all passages, n_embd): the normed states; each passage begins at position 0."""
    config = source.config
    x = _embeddings(source, np.concatenate([np.asarray(p, np.int64) for p in passages]))
    rope = _rotation(config, max(len(p) for p in passages))
    for i in range(config["num_hidden_layers"]):
        layer = _Layer(source, f"model.layers.{i}.")
        x += _attention(layer, layer.norm("input_layernorm", x), _rows(passages), rope)
        x += _mlp(layer, layer.norm("post_attention_layernorm", x))
        layer_done()
    return _Layer(source, "model.").norm("norm", x)


def _rows(passages: Sequence[Sequence[int]]) -> list[slice]:
    """Where each passage stands among the stacked tokens."""
    ends = np.cumsum([len(p) for p in passages]).tolist()
    return [slice(end - len(p), end) for p, end in zip(passages, ends, strict=True)]


def _embeddings(source: Source, ids: NDArray[np.int64]) -> F32:
    table = source.tensors["model.embed_tokens.weight"]
    needed, place = np.unique(ids, return_inverse=True)
    rows: F32 = np.concatenate([table.floats(i, i + 1) for i in needed.tolist()])
    return rows[place]


@dataclass(frozen=True, slots=True)
class _Layer:
    """Tensors whose names begin alike, read when they are multiplied with and not kept."""

    source: Source
    prefix: str

    @property
    def config(self) -> Any:
        return self.source.config

    def norm(self, name: str, x: F32) -> F32:
        mean_square = np.mean(x * x, axis=-1, keepdims=True)
        scale = np.sqrt(mean_square + np.float32(self.config["rms_norm_eps"]))
        normed: F32 = x / scale * self._vector(f"{name}.weight")
        return normed

    def linear(self, name: str, x: F32) -> F32:
        """(n, rows of W): x times the matrix transposed."""
        tensor = self.source.tensors[f"{self.prefix}{name}.weight"]
        y = np.empty((len(x), tensor.rows), np.float32)
        for first, last in _pieces(tensor):
            y[:, first:last] = x @ tensor.floats(first, last).T
        return y

    def heads(self, name: str, x: F32) -> F32:
        """(n, heads, head_dim): a projection with its bias."""
        y = self.linear(name, x)
        y += self._vector(f"{name}.bias")
        return y.reshape(len(x), -1, self.config["head_dim"])

    def _vector(self, name: str) -> F32:
        return self.source.tensors[self.prefix + name].floats(0, 1)


def _pieces(tensor: Tensor) -> Iterator[tuple[int, int]]:
    step = max(1, _PIECE_VALUES // tensor.cols)
    for first in range(0, tensor.rows, step):
        yield first, min(first + step, tensor.rows)


def _attention(layer: _Layer, x: F32, passages: list[slice], rope: tuple[F32, F32]) -> F32:
    q, k, v = (layer.heads(f"self_attn.{name}_proj", x) for name in "qkv")
    mixed = [_attend(_turned(q[rows], rope), _turned(k[rows], rope), v[rows]) for rows in passages]
    return layer.linear("self_attn.o_proj", np.concatenate(mixed))


def _attend(q: F32, k: F32, v: F32) -> F32:
    """One passage: q (n, heads, head_dim), k and v (n, kv_heads, head_dim); (n, all heads)."""
    n, n_head, head_dim = q.shape
    group = n_head // k.shape[1]
    keys, values = (np.repeat(t, group, axis=1).transpose(1, 0, 2) for t in (k, v))
    scores = q.transpose(1, 0, 2) @ keys.transpose(0, 2, 1) * np.float32(head_dim**-0.5)
    scores[:, *np.triu_indices(n, 1)] = -np.inf
    scores -= scores.max(axis=-1, keepdims=True)
    weights = np.exp(scores)
    weights /= weights.sum(axis=-1, keepdims=True)
    mixed: F32 = (weights @ values).transpose(1, 0, 2).reshape(n, n_head * head_dim)
    return mixed


def _rotation(config: Any, n: int) -> tuple[F32, F32]:
    """Cosines and sines of positions 0..n-1, each (n, 1, head_dim / 2)."""
    exponents = np.arange(0, config["head_dim"], 2) / config["head_dim"]
    angles = np.outer(np.arange(n), config["rope_theta"] ** -exponents)[:, None]
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _turned(x: F32, rope: tuple[F32, F32]) -> F32:
    """Each pair of a head's first and second half turned by its position's angle."""
    cos, sin = (t[: len(x)] for t in rope)
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def _mlp(layer: _Layer, x: F32) -> F32:
    gate = layer.linear("mlp.gate_proj", x)
    gate /= 1 + np.exp(-gate)
    gate *= layer.linear("mlp.up_proj", x)
    return layer.linear("mlp.down_proj", gate)


def _not_finite(source: Source) -> QwellError:
    return QwellError(
        "weights-corrupt",
        found=f"{source.path}: its weights give states that are no numbers",
        expected="finite states for any text",
        fix="the file was damaged or badly converted: download it again (`qwell pull`)",
    )
