"""The layouts of docs/pack-format.md: codes to bytes and back.

Knows the memory layout of each kind; not where codes come from, nor how a pack file is built.
All functions work on any multiple of 16 rows, so a matrix can be laid out piece by piece.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from functools import partial

import numpy as np
from numpy.typing import NDArray

from qwell.weights.blocks import F16, F32, U8

LANES = 16  # rows of a group, side by side in a lane vector
COLS = 32  # columns of a block
PAIR = 2  # blocks that lie together, so that everything starts on a cache line
ZEROS = 16  # zero points of Q4D between two codes
WIDE = 512  # a scan of this many columns has fewer bits for those that tell less

Scales = F16 | F32
Minima = F16 | NDArray[np.uint16]


class Kind(IntEnum):
    F32 = 0
    Q8 = 1
    Q5 = 2
    Q4 = 3
    SCAN = 4
    ROWS = 5
    Q6 = 6
    Q4D = 7  # q4 whose scales are quantised, too


_VECTORS = {
    Kind.Q8: 8,
    Kind.Q6: 6,
    Kind.Q5: 5,
    Kind.Q4: 4,
    Kind.Q4D: 4,
}  # lane vectors of 64 bytes a block

_OFFSETS = {Kind.Q8: 128, Kind.Q6: 32, Kind.Q5: 16}  # the code of the value 0
_HIGH_BITS = {Kind.Q6: (4, 5), Kind.Q5: (4,)}  # bits of a code that lie outside of its nibble


def padded_rows(rows: int) -> int:
    return -(-rows // LANES) * LANES


def scan_columns(cols: int) -> tuple[int, int, int, int]:
    """How many columns of a scan have 4, 3, 2 and 1 bits, in this order; multiples of 32."""
    if cols < WIDE:
        return cols, 0, 0, 0
    n4, n3, n2 = (COLS * ((share * cols + 224) // 448) for share in (1, 2, 5))  # of 14, rounded
    return n4, n3, n2, cols - n4 - n3 - n2


def scan_bits(cols: int) -> U8:
    """Bits of each column of a scan, (cols,)."""
    return np.repeat(np.array([4, 3, 2, 1], np.uint8), scan_columns(cols))


def tensor_bytes(kind: Kind, rows: int, cols: int) -> int:
    """Exactly what the kind needs for rows (a multiple of 16, except for F32) and cols."""
    if kind is Kind.F32:
        return rows * cols * 4
    if kind is Kind.ROWS:
        return rows * (cols + cols // COLS * 2)
    if kind is Kind.SCAN:
        return rows // LANES * (LANES * 4 + int(scan_bits(cols)[::COLS].sum()) * 64)
    assert cols % (PAIR * COLS) == 0, cols
    scales = LANES * 2 * (2 if kind is Kind.Q4 else 1)
    head = LANES * 4 if kind is Kind.Q4D else 0
    return rows // LANES * (head + (cols // COLS) * (scales + _VECTORS[kind] * 64))


def encode(kind: Kind, u: U8, d: Scales, m: Minima | None = None) -> U8:
    """The bytes of a piece of a matrix, flat.

    u  # (rows, cols) codes as the kind stores them: q + 128, q + 32, q + 16, 0..15; for ROWS the
       # bytes of int8 q; for SCAN as many bits as scan_bits says
    d  # (rows, cols / 32) float16; for SCAN and Q4D (rows, 1) float32
    m  # (rows, cols / 32) for Q4; for Q4D uint16, a block's scale * 256 + its zero point
    """
    if kind is Kind.ROWS:
        return _encode_rows(u, d)
    if kind is Kind.SCAN:
        return _encode_scan(u, d)
    if kind is Kind.Q4D:
        assert m is not None
        return _encode_q4d(u, d, m)
    parts = [_scales(d)]
    if m is not None:
        parts.append(_scales(m))
    lanes = _to_lanes(u)
    if kind is Kind.Q8:
        parts.append(lanes)
    elif kind is Kind.Q4:
        parts.append(_join_nibbles(lanes))
    else:
        planes = [_join_evenly(lanes >> np.uint8(bit) & np.uint8(1), 1) for bit in _HIGH_BITS[kind]]
        parts += [_join_nibbles(lanes & np.uint8(15)), np.concatenate(planes, axis=2)]
    pairs = len(u) // LANES, u.shape[1] // (PAIR * COLS)
    return np.concatenate([part.reshape(*pairs, -1) for part in parts], axis=2).reshape(-1)


def decode(kind: Kind, raw: U8, rows: int, cols: int) -> tuple[U8, Scales, Minima | None]:
    """Inverse of encode."""
    if kind is Kind.ROWS:
        return _decode_rows(raw, rows, cols)
    if kind is Kind.SCAN:
        return _decode_scan(raw, rows, cols)
    if kind is Kind.Q4D:
        return _decode_q4d(raw, rows, cols)
    pairs = raw.reshape(rows // LANES, cols // (PAIR * COLS), -1)
    at = PAIR * LANES * 2
    d, m = _scales_of(pairs[:, :, :at], cols), None
    if kind is Kind.Q4:
        m = _scales_of(pairs[:, :, at : 2 * at], cols)
        at *= 2
    body = pairs[:, :, at:]
    n_blocks = cols // COLS
    if kind is Kind.Q8:
        return _from_lanes(body.reshape(-1, n_blocks, 8, 64)), d, m
    lanes = _split_nibbles(body[:, :, : PAIR * 256].reshape(-1, n_blocks, 4, 64))
    if high_bits := _HIGH_BITS.get(kind):
        planes = body[:, :, PAIR * 256 :].reshape(-1, n_blocks, len(high_bits), 64)
        for i, bit in enumerate(high_bits):
            lanes |= _split_evenly(planes[:, :, i : i + 1], 1) << np.uint8(bit)
    return _from_lanes(lanes), d, m


def values(kind: Kind, u: U8, d: Scales, m: Minima | None = None) -> F32:
    """float32, (rows, cols)."""
    if kind is Kind.SCAN:
        from_centre: F32 = d.astype(np.float32) * (u - _scan_centres(u.shape[1]))
        return from_centre
    q = u.view(np.int8) if kind is Kind.ROWS else u
    codes = q.reshape(len(u), -1, COLS).astype(np.float32)
    if kind is Kind.Q4D:
        assert m is not None
        both = m.view(np.uint16)[:, :, None]
        codes -= (both & 255).astype(np.float32) / np.float32(ZEROS)
        codes *= (both >> 8).astype(np.float32)
        return (codes * d[:, :, None]).reshape(u.shape)
    codes -= np.float32(_OFFSETS.get(kind, 0))
    codes *= d.astype(np.float32)[:, :, None]
    if m is not None:
        codes += m.astype(np.float32)[:, :, None]
    return codes.reshape(u.shape)


def _scan_centres(cols: int) -> F32:
    """The code of the value 0 in each column of a scan; it lies between two codes."""
    return np.float32(2) ** (scan_bits(cols) - np.float32(1)) - np.float32(0.5)


def _to_lanes(u: U8) -> U8:
    """(rows, cols) to (groups, blocks, quads, 64): byte 4 * row + column of the quad."""
    rows, cols = u.shape
    quads = np.ascontiguousarray(u).view(np.uint32).reshape(rows // LANES, LANES, cols // COLS, 8)
    return np.ascontiguousarray(quads.transpose(0, 2, 3, 1)).view(np.uint8)


def _from_lanes(lanes: U8) -> U8:
    quads = np.ascontiguousarray(lanes).view(np.uint32)  # (groups, blocks, 8, 16)
    rows = np.ascontiguousarray(quads.transpose(0, 3, 1, 2))
    return rows.reshape(quads.shape[0] * LANES, -1).view(np.uint8)


def _join_nibbles(lanes: U8) -> U8:
    """Lane vector v: quad v in the low nibbles, quad v + 4 in the high ones."""
    joined: U8 = lanes[:, :, :4] | (lanes[:, :, 4:] << np.uint8(4))
    return joined


def _split_nibbles(vectors: U8) -> U8:
    return np.concatenate([vectors & 15, vectors >> 4], axis=2)


def _join_three_bits(lanes: U8) -> U8:
    """Three lane vectors: quads 0 to 5 in their lower six bits, 6 and 7 in what is left."""
    quad = lanes.transpose(2, 0, 1, 3)
    left = (quad[6] & 3, quad[7] & 3, (quad[6] >> 2) | (quad[7] >> 2 << np.uint8(1)))
    vectors = [
        quad[2 * v] | (quad[2 * v + 1] << np.uint8(3)) | (left[v] << np.uint8(6)) for v in range(3)
    ]
    return np.stack(vectors, axis=2)


def _split_three_bits(vectors: U8) -> U8:
    a, b, c = vectors.transpose(2, 0, 1, 3)
    quads = [code & 7 for vector in (a, b, c) for code in (vector, vector >> np.uint8(3))]
    quads += [(a >> 6) | (c >> np.uint8(4) & 4), (b >> 6) | (c >> np.uint8(5) & 4)]
    return np.stack(quads, axis=2)


def _join_evenly(lanes: U8, bits: int) -> U8:
    """As many lane vectors as bits, 1 or 2; each holds the next quads, the first in its low bits.

    lanes must hold no more than these bits.
    """
    groups, blocks = lanes.shape[:2]
    quads = lanes.reshape(groups, blocks, bits, 8 // bits, 64)
    vectors = quads[:, :, :, 0].copy()
    for k in range(1, 8 // bits):
        vectors |= quads[:, :, :, k] << np.uint8(bits * k)
    return vectors


def _split_evenly(vectors: U8, bits: int) -> U8:
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    quads: U8 = vectors[:, :, :, None] >> shifts & np.uint8(2**bits - 1)
    return quads.reshape(*vectors.shape[:2], 8, 64)


def _encode_q4d(u: U8, d: Scales, m: Minima) -> U8:
    groups = len(u) // LANES
    parts = (_scales(m), _join_nibbles(_to_lanes(u)))
    pairs = [part.reshape(groups, u.shape[1] // (PAIR * COLS), -1) for part in parts]
    steps = np.ascontiguousarray(d, np.float32).view(np.uint8).reshape(groups, -1)
    body = np.concatenate(pairs, axis=2).reshape(groups, -1)
    return np.concatenate([steps, body], axis=1).reshape(-1)


def _decode_q4d(raw: U8, rows: int, cols: int) -> tuple[U8, F32, Minima]:
    groups = raw.reshape(rows // LANES, -1)
    steps = np.ascontiguousarray(groups[:, : LANES * 4]).view(np.float32).reshape(-1, 1)
    pairs = groups[:, LANES * 4 :].reshape(len(groups), cols // (PAIR * COLS), -1)
    at = PAIR * LANES * 2
    lanes = _split_nibbles(pairs[:, :, at:].reshape(-1, cols // COLS, 4, 64))
    return _from_lanes(lanes), steps, _scales_of(pairs[:, :, :at], cols).view(np.uint16)


def _scales(d: Scales | Minima) -> U8:
    """(rows, blocks) to (groups, blocks, 32 bytes): one scale a row."""
    by_block = d.reshape(-1, LANES, d.shape[1]).transpose(0, 2, 1)
    return np.ascontiguousarray(by_block).view(np.uint8)


def _scales_of(part: U8, cols: int) -> F16:
    scales = np.ascontiguousarray(part).view(np.float16)
    by_row = scales.reshape(len(part), cols // COLS, LANES).transpose(0, 2, 1)
    return np.ascontiguousarray(by_row).reshape(-1, cols // COLS)


def _encode_rows(u: U8, d: Scales) -> U8:
    scales = np.ascontiguousarray(d).view(np.uint8)
    return np.concatenate([u, scales], axis=1).reshape(-1)


def _decode_rows(raw: U8, rows: int, cols: int) -> tuple[U8, F16, None]:
    by_row = raw.reshape(rows, -1)
    scales = np.ascontiguousarray(by_row[:, cols:]).view(np.float16)
    return np.ascontiguousarray(by_row[:, :cols]), scales, None


def _encode_scan(u: U8, d: Scales) -> U8:
    lanes = _to_lanes(u)
    parts = [np.ascontiguousarray(d, np.float32).view(np.uint8).reshape(len(lanes), -1)]
    first = 0
    for join, n in zip(_JOINS, scan_columns(u.shape[1]), strict=True):
        blocks = lanes[:, first : first + n // COLS]
        parts.append(join(blocks).reshape(len(lanes), -1))
        first += n // COLS
    return np.concatenate(parts, axis=1).reshape(-1)


def _decode_scan(raw: U8, rows: int, cols: int) -> tuple[U8, F32, None]:
    groups = raw.reshape(rows // LANES, -1)
    at = LANES * 4
    d = np.ascontiguousarray(groups[:, :at]).view(np.float32).reshape(-1, 1)
    parts = []
    for bits, split, n in zip((4, 3, 2, 1), _SPLITS, scan_columns(cols), strict=True):
        size = n // COLS * bits * 64
        vectors = groups[:, at : at + size].reshape(len(groups), n // COLS, bits, 64)
        parts.append(split(vectors))
        at += size
    return _from_lanes(np.concatenate(parts, axis=1)), d, None


# Of 4, 3, 2 and 1 bits: quads of codes to lane vectors, and back.
_JOINS: tuple[Callable[[U8], U8], ...] = (
    _join_nibbles,
    _join_three_bits,
    partial(_join_evenly, bits=2),
    partial(_join_evenly, bits=1),
)
_SPLITS: tuple[Callable[[U8], U8], ...] = (
    _split_nibbles,
    _split_three_bits,
    partial(_split_evenly, bits=2),
    partial(_split_evenly, bits=1),
)
