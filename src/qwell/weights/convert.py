"""A source becomes a pack: which tensors, in which kind, piece by piece in bounded memory.

Knows names and kinds. Reading is the source's work, layouts are in planes.py, and where the
pack belongs and who may write it is decided in ensure.py.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from qwell.errors import QwellError
from qwell.weights.blocks import F16, F32, GROUP, U8
from qwell.weights.pack import PackWriter, TensorSpec, unwatched
from qwell.weights.planes import LANES, Kind, encode, padded_rows, scan_bits
from qwell.weights.quantize import (
    double_quantize_q4,
    quantize_q4,
    quantize_q5,
    quantize_q6,
    quantize_q8,
    quantize_scan,
)
from qwell.weights.scan import is_turned, turned_parts
from qwell.weights.source import Source, Tensor, check_tensors, pack_config

Quant = Literal["auto", "q8", "q5", "q4"]
_Number = TypeVar("_Number", bound=np.generic)

_FORCED = {"q8": Kind.Q8, "q5": Kind.Q5, "q4": Kind.Q4D}
# 4 bits do half of their harm here, in an eighth of the weights: q4 keeps these as in the source.
_ATTENTION = ("q", "k", "v", "o")
# The kind that keeps a type's values exactly, or nearly: a symmetric code of 5 bits can't follow
# the minima of Q5_K, one of 6 bits can.
_CLOSEST = {
    "F32": Kind.Q5, "F16": Kind.Q5, "BF16": Kind.Q5,
    "Q8_0": Kind.Q8, "Q6_K": Kind.Q6, "Q5_K": Kind.Q6,
    "Q5_0": Kind.Q5, "Q4_0": Kind.Q4, "Q4_1": Kind.Q4, "Q4_K": Kind.Q4,
}  # fmt: skip
_EMBEDDING = "model.embed_tokens.weight"
_LAYER_MATRICES = {
    "q": "self_attn.q_proj.weight",
    "k": "self_attn.k_proj.weight",
    "v": "self_attn.v_proj.weight",
    "o": "self_attn.o_proj.weight",
    "gate": "mlp.gate_proj.weight",
    "up": "mlp.up_proj.weight",
    "down": "mlp.down_proj.weight",
}
_LAYER_VECTORS = {
    "attn_norm": "input_layernorm.weight",
    "ffn_norm": "post_attention_layernorm.weight",
    "q_bias": "self_attn.q_proj.bias",
    "k_bias": "self_attn.k_proj.bias",
    "v_bias": "self_attn.v_proj.bias",
}
# What is added to the code, and what computes it.
_SIGNED = {
    Kind.Q8: (128, quantize_q8),
    Kind.Q6: (32, quantize_q6),
    Kind.Q5: (16, quantize_q5),
}
_HEAD = ("head.scan", "head.turn")  # what a token reads besides the body's matrices
_PIECE_VALUES = 1 << 19  # weights converted at once: 2 MB as float32, near the L2 cache


@dataclass(frozen=True, slots=True)
class Part:
    """One tensor of the pack and what it is made of: a tensor of the source or of the basis."""

    source_name: str
    spec: TensorSpec
    weights: F32 | None = None  # of a scan's columns, (cols,), where they differ


def plan(source: Source, quant: Quant) -> list[Part]:
    """All tensors of the pack, in the order of the file."""
    parts = [_matrix_part(source, "embd", Kind.ROWS, _EMBEDDING)]
    if not source.config["tie_word_embeddings"]:
        parts.append(_matrix_part(source, "head", Kind.ROWS, _head_name(source)))
    parts += _scan_parts(source)
    parts.append(_vector_part(source, "out_norm", "model.norm.weight"))
    for i in range(source.config["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        for short, name in _LAYER_VECTORS.items():
            parts.append(_vector_part(source, f"L{i}.{short}", layer + name))
        for short, name in _LAYER_MATRICES.items():
            kind = _kind(quant, short, source.tensors[layer + name])
            parts.append(_matrix_part(source, f"L{i}.{short}", kind, layer + name))
    return parts


def _head_name(source: Source) -> str:
    return _EMBEDDING if source.config["tie_word_embeddings"] else "lm_head.weight"


def _scan_parts(source: Source) -> list[Part]:
    name = _head_name(source)
    head = source.tensors[name]
    if not is_turned(head.cols):
        return [_matrix_part(source, "head.scan", Kind.SCAN, name)]
    specs = (
        TensorSpec("head.scan", Kind.SCAN, padded_rows(head.rows), head.cols),
        TensorSpec("head.turn", Kind.F32, head.cols, head.cols),
        TensorSpec("head.mean", Kind.F32, 1, head.cols),
    )
    return [Part(spec.name, spec) for spec in specs]


def _kind(quant: Quant, short: str, tensor: Tensor) -> Kind:
    if quant == "auto" or (quant == "q4" and short in _ATTENTION):
        return _CLOSEST[tensor.type.name]
    return _FORCED[quant]


def pack_names(n_layer: int, *, tied: bool) -> dict[str, str]:
    """Name in the pack to name in Hugging Face's files, without what serves the scan alone."""
    names = {"embd": _EMBEDDING, "out_norm": "model.norm.weight"}
    if not tied:
        names["head"] = "lm_head.weight"
    for i in range(n_layer):
        for short, name in (_LAYER_VECTORS | _LAYER_MATRICES).items():
            names[f"L{i}.{short}"] = f"model.layers.{i}.{name}"
    return names


def _matrix_part(source: Source, short: str, kind: Kind, name: str) -> Part:
    tensor = source.tensors[name]
    return Part(name, TensorSpec(short, kind, padded_rows(tensor.rows), tensor.cols))


def _vector_part(source: Source, short: str, name: str) -> Part:
    return Part(name, TensorSpec(short, Kind.F32, 1, source.tensors[name].cols))


def _body(parts: list[Part]) -> list[TensorSpec]:
    """The layers' matrices, all of which every token reads."""
    apart = (Kind.F32, Kind.ROWS)
    return [p.spec for p in parts if p.spec.kind not in apart and p.spec.name not in _HEAD]


def _body_kinds(parts: list[Part]) -> list[tuple[str, int]]:
    """Kinds of the body's matrices and how many weights each holds, the largest first."""
    sizes: Counter[str] = Counter()
    for spec in _body(parts):
        sizes[spec.kind.name.lower()] += spec.rows * spec.cols
    return sizes.most_common()


def why(quant: Quant, parts: list[Part]) -> str:
    """One line: what the weights are held in and why."""
    kinds = _body_kinds(parts)
    total = sum(n for _, n in kinds)
    mix = ", ".join(f"{n / total:.0%} {kind}" for kind, n in kinds)
    head = [part.spec for part in parts if part.spec.name in _HEAD]
    read = sum(spec.n_bytes for spec in _body(parts) + head)
    reason = (
        "auto: each matrix in the smallest kind that keeps the source's quality"
        if quant == "auto"
        else f"{quant} as set"
    )
    return f"{reason} ({mix}); {read / 1e6:.0f} MB read per token"


def packed_bytes(source: Source, quant: Quant) -> int:
    """Size of the pack without its meta, for the disk-space check."""
    return sum(part.spec.n_bytes + 4096 for part in plan(source, quant))


@dataclass(slots=True)
class _Watch:
    """Adds up what is done, in bytes."""

    report: Callable[[int, int], None]
    total: int
    done: int = 0

    def add(self, n: int) -> None:
        self.done += n
        self.report(self.done, self.total)


def write_pack(
    file: BinaryIO,
    source: Source,
    quant: Quant,
    *,
    origin: dict[str, Any],
    report: Callable[[int, int], None] = unwatched,
) -> None:
    """Convert all tensors into an open, empty file.

    report(done, total) counts bytes of the pack, the layers' twice where the model runs to find
    the head's basis. Raises QwellError ``weights-corrupt`` when a value or scale is not finite, and
    what the source raises.
    """
    check_tensors(source)
    parts = plan(source, quant)
    writer = PackWriter(file, pack_config(source.config), [part.spec for part in parts])
    own = [part for part in parts if part.source_name in source.tensors]
    turned = [part for part in parts if part.source_name not in source.tensors]
    running = sum(spec.n_bytes for spec in _body(parts)) if turned else 0
    watch = _Watch(report, running + sum(part.spec.n_bytes for part in parts))
    _fill(writer, own, source.path, source.tensors, watch)
    if turned:  # last, when every weight has been seen to be a number
        layer, rest = divmod(running, source.config["num_hidden_layers"])
        head = source.tensors[_head_name(source)]
        tensors, weights = turned_parts(source, head, lambda: watch.add(layer))
        turned = [replace(part, weights=weights) for part in turned]
        watch.add(rest)
        _fill(writer, turned, source.path, tensors, watch)
    meta = {
        "name": source.name,
        "source": origin,
        "quant": _body_kinds(parts)[0][0].removesuffix("d"),  # q4d is a way to hold q4
        "quant_why": why(quant, parts),
        "architecture": source.config["model_type"],
        "config": dict(source.config),
        "tokenizer": source.tokenizer,
        "chat_template": source.chat_template,
        "generation_config": dict(source.generation_config),
        "stop_ids": list(source.stop_ids),
    }
    writer.finish(meta)


def _fill(
    writer: PackWriter,
    parts: list[Part],
    path: Path,
    tensors: Mapping[str, Tensor],
    watch: _Watch,
) -> None:
    for part, piece in _converted(parts, path, tensors):
        writer.write(part.spec.name, piece)
        watch.add(piece.size)


def _converted(
    parts: list[Part], path: Path, tensors: Mapping[str, Tensor]
) -> Iterator[tuple[Part, U8]]:
    """Pieces in the order of the file, computed a few ahead on all cores.

    numpy releases the interpreter's lock, so threads are enough; the short queue bounds memory.
    """
    n_threads = min(len(os.sched_getaffinity(0)), 8)
    waiting: deque[tuple[Part, Future[U8]]] = deque()
    with ThreadPoolExecutor(n_threads, "qwell-pack") as pool:
        for part, first, last in _pieces(parts, tensors):
            tensor = tensors[part.source_name]
            job = partial(convert_piece, path, part, tensor, first, last)
            waiting.append((part, pool.submit(job)))
            if len(waiting) > 2 * n_threads:
                done_part, future = waiting.popleft()
                yield done_part, future.result()
        while waiting:
            done_part, future = waiting.popleft()
            yield done_part, future.result()


def _pieces(parts: list[Part], tensors: Mapping[str, Tensor]) -> Iterator[tuple[Part, int, int]]:
    for part in parts:
        tensor = tensors[part.source_name]
        step = max(LANES, _PIECE_VALUES // tensor.cols // LANES * LANES)
        for first in range(0, tensor.rows, step):
            yield part, first, min(first + step, tensor.rows)


def convert_piece(path: Path, part: Part, tensor: Tensor, first: int, last: int) -> U8:
    """Rows first..last-1 of a tensor as the bytes of a piece of the pack's."""
    kind = part.spec.kind
    blocks = tensor.blocks(first, last)
    if not np.isfinite(tensor.type.scales(blocks)).all():
        raise _no_numbers(path, part)
    if kind is Kind.F32:
        return tensor.type.dequantize(blocks).view(np.uint8).reshape(-1)
    if kind is Kind.SCAN:
        return encode(kind, *_scan_codes(tensor, blocks, part.weights))
    if kind is Kind.Q4D:
        u, step, both = _q4d_codes(tensor, blocks)
        if not np.isfinite(step).all():
            raise _no_numbers(path, part)
        return encode(kind, u, step, both)
    return encode(kind, *_shaped(*codes(tensor, blocks, kind), tensor.cols))


def _no_numbers(path: Path, part: Part) -> QwellError:
    return QwellError(
        "weights-corrupt",
        found=f"{path}: tensor {part.source_name} holds values that are no numbers",
        expected="finite weights and scales",
        fix="the file was damaged or badly converted: download it again (`qwell pull`)",
    )


def _scan_codes(tensor: Tensor, blocks: U8, weights: F32 | None) -> tuple[U8, F32]:
    rows = tensor.type.dequantize(blocks).reshape(-1, tensor.cols)
    alike = np.ones(tensor.cols, np.float32)
    d, u = quantize_scan(rows, scan_bits(tensor.cols), alike if weights is None else weights)
    return _padded(u), _padded(d)


def codes(tensor: Tensor, blocks: U8, kind: Kind) -> tuple[U8, F16, F16 | None]:
    """Stored codes (n, 32) with scales and minima (n,): taken over where exact, else computed."""
    if kind is Kind.Q4:
        return _q4_codes(tensor, blocks)
    if kind is Kind.ROWS:
        return _row_codes(tensor, blocks)
    offset, quantize = _SIGNED[kind]
    if tensor.type.symmetric and -offset <= tensor.type.q_min and tensor.type.q_max < offset:
        d, q = tensor.type.symmetric(blocks)
    else:
        d, q = quantize(_groups(tensor, blocks))
    return q.view(np.uint8) + np.uint8(offset), d, None


def _row_codes(tensor: Tensor, blocks: U8) -> tuple[U8, F16, None]:
    """As of q8, but signed; the engine's products take no -128, which no known writer makes."""
    u, d, _ = codes(tensor, blocks, Kind.Q8)
    return np.maximum(u, np.uint8(1)) - np.uint8(128), d, None


def _q4_codes(tensor: Tensor, blocks: U8) -> tuple[U8, F16, F16]:
    if tensor.type.affine:
        d, m, u = tensor.type.affine(blocks)
    elif tensor.type.symmetric and tensor.type.q_min == -8:
        d, q = tensor.type.symmetric(blocks)
        m, u = d * np.float16(-8), q.view(np.uint8) + np.uint8(8)
    else:
        d, m, u = quantize_q4(_groups(tensor, blocks))
    return u, d, m


def _q4d_codes(tensor: Tensor, blocks: U8) -> tuple[U8, F32, NDArray[np.uint16]]:
    rows = _groups(tensor, blocks).reshape(-1, tensor.cols // GROUP, GROUP)
    with np.errstate(over="ignore", invalid="ignore"):  # the caller looks at the steps
        _, d, m = _q4_codes(tensor, blocks)
        fitted = (a.astype(np.float32).reshape(rows.shape[:2]) for a in (d, m))
        step, both, u = double_quantize_q4(rows, *fitted)
    return _padded(u.reshape(-1, tensor.cols)), _padded(step), _padded(both)


def _groups(tensor: Tensor, blocks: U8) -> F32:
    return tensor.type.dequantize(blocks).reshape(-1, GROUP)


def _shaped(u: U8, d: F16, m: F16 | None, cols: int) -> tuple[U8, F16, F16 | None]:
    """As matrices of whole groups of rows."""
    per_row = cols // GROUP
    m = m if m is None else _padded(m.reshape(-1, per_row))
    return _padded(u.reshape(-1, cols)), _padded(d.reshape(-1, per_row)), m


def _padded(rows: NDArray[_Number]) -> NDArray[_Number]:
    """Up to a multiple of 16 filled with rows of zeros, of which d = 0 and m = 0 matter."""
    extra = padded_rows(len(rows)) - len(rows)
    return np.pad(rows, ((0, extra), (0, 0))) if extra else rows
