"""The tensor types of model files: raw bytes to integer codes with scales, and to float32.

Knows the byte layout of each type, nothing of files, packs or quantisation.

A type stores values in blocks. Three views of the same bytes exist:

- ``dequantize``  float32 values, exactly those that the type defines
- ``symmetric``   scale d (float16) and code q (int8) per 32 values: value = d * q
- ``affine``      scale d, minimum m (float16) and code u (0..15) per 32 values: value = d * u + m

symmetric and affine exist where they hold the values (nearly, for Q4_K) without loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
I8 = NDArray[np.int8]
F16 = NDArray[np.float16]
F32 = NDArray[np.float32]

GROUP = 32  # values that share a scale in every symmetric and affine view


@dataclass(frozen=True, slots=True)
class BlockType:
    """One tensor type; raw arrays are (n_blocks, block_bytes) uint8."""

    name: str
    block_values: int
    block_bytes: int
    dequantize: Callable[[U8], F32]  # (n_blocks, block_values)
    scales: Callable[[U8], NDArray[np.floating]]  # what must be finite in sound data
    symmetric: Callable[[U8], tuple[F16, I8]] | None = None  # (n,), (n, 32)
    affine: Callable[[U8], tuple[F16, F16, U8]] | None = None  # (n,), (n,), (n, 32)
    q_min: int = 0  # range of the symmetric code
    q_max: int = 0

    def row_bytes(self, cols: int) -> int:
        """Bytes of a row. cols must be a multiple of block_values."""
        return cols // self.block_values * self.block_bytes


def _half(raw: U8, start: int) -> F16:
    """The float16 at byte ``start`` of every block, (n,)."""
    return raw[:, start : start + 2].copy().view(np.float16)[:, 0]


def _split_nibbles(packed: U8) -> U8:
    """(n, 16) bytes to (n, 32) codes: low nibbles are the first half, high ones the second."""
    codes = np.empty((len(packed), 2 * packed.shape[1]), np.uint8)
    np.bitwise_and(packed, 0x0F, out=codes[:, : packed.shape[1]])
    np.right_shift(packed, 4, out=codes[:, packed.shape[1] :])
    return codes


# ---- plain floats: a block is one value


def _f32_values(raw: U8) -> F32:
    return raw.view(np.float32)


def _f16_values(raw: U8) -> F32:
    return raw.view(np.float16).astype(np.float32)


def _bf16_values(raw: U8) -> F32:
    """bfloat16 is the upper half of a float32."""
    return (raw.view(np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)


# ---- blocks of 32


def _leading_scale(raw: U8) -> F16:
    return _half(raw, 0)


def _q8_0_symmetric(raw: U8) -> tuple[F16, I8]:
    return _half(raw, 0), raw[:, 2:].view(np.int8)


def _q5_0_symmetric(raw: U8) -> tuple[F16, I8]:
    """d, 32 fifth bits, 16 bytes of nibbles."""
    codes = _split_nibbles(raw[:, 6:22])
    fifth = np.unpackbits(raw[:, 2:6], axis=1, bitorder="little")
    codes |= fifth << 4
    return _half(raw, 0), (codes - np.uint8(16)).view(np.int8)


def _q4_0_symmetric(raw: U8) -> tuple[F16, I8]:
    codes = _split_nibbles(raw[:, 2:18])
    return _half(raw, 0), (codes - np.uint8(8)).view(np.int8)


def _q4_1_affine(raw: U8) -> tuple[F16, F16, U8]:
    return _half(raw, 0), _half(raw, 2), _split_nibbles(raw[:, 4:20])


def _q4_1_scales(raw: U8) -> F16:
    return raw[:, 0:4].copy().view(np.float16)


def _from_symmetric(view: Callable[[U8], tuple[F16, I8]]) -> Callable[[U8], F32]:
    def dequantize(raw: U8) -> F32:
        d, q = view(raw)
        return d.astype(np.float32)[:, None] * q.astype(np.float32)

    return dequantize


def _q4_1_values(raw: U8) -> F32:
    d, m, u = _q4_1_affine(raw)
    return d.astype(np.float32)[:, None] * u.astype(np.float32) + m.astype(np.float32)[:, None]


# ---- super-blocks of 256: Q4_K and Q5_K share their head, d and dmin over 8 six-bit pairs


def _k_scales(raw: U8) -> tuple[F32, F32]:
    """Scale and minimum of each group of 32, (n, 8) and (n, 8), both exact in float32.

    The 12 bytes at 4 hold 8 scales and 8 minima of 6 bits: bytes 0..3 and 4..7 carry the first
    four of each and, in their upper two bits, the upper bits of the last four.
    """
    packed = raw[:, 4:16]
    first_sc, first_mn, rest = packed[:, 0:4], packed[:, 4:8], packed[:, 8:12]
    sc = np.concatenate([first_sc & 63, (rest & 15) | ((first_sc >> 6) << 4)], axis=1)
    mn = np.concatenate([first_mn & 63, (rest >> 4) | ((first_mn >> 6) << 4)], axis=1)
    d = _half(raw, 0).astype(np.float32)[:, None]
    dmin = _half(raw, 2).astype(np.float32)[:, None]
    return d * sc.astype(np.float32), dmin * mn.astype(np.float32)


def _k_nibbles(packed: U8) -> U8:
    """128 bytes to (n, 8, 32): each run of 32 bytes holds two groups, low nibbles first."""
    runs = packed.reshape(-1, 4, 1, 32)
    return np.concatenate([runs & 15, runs >> 4], axis=2).reshape(-1, 8, 32)


def _k_values(raw: U8, codes: U8) -> F32:
    d, m = _k_scales(raw)
    values: F32 = d[:, :, None] * codes.astype(np.float32) - m[:, :, None]
    return values.reshape(-1, 256)


def _q4_k_values(raw: U8) -> F32:
    return _k_values(raw, _k_nibbles(raw[:, 16:144]))


def _q4_k_affine(raw: U8) -> tuple[F16, F16, U8]:
    """Scale and minimum are products; rounding them to float16 is the only loss."""
    d, m = _k_scales(raw)
    codes = _k_nibbles(raw[:, 16:144]).reshape(-1, 32)
    return d.astype(np.float16).reshape(-1), (-m).astype(np.float16).reshape(-1), codes


def _q5_k_values(raw: U8) -> F32:
    """As Q4_K, with 32 bytes of fifth bits: bit g of byte i belongs to value i of group g."""
    codes = _k_nibbles(raw[:, 48:176])
    shifts = np.arange(8, dtype=np.uint8)[None, :, None]
    codes |= ((raw[:, None, 16:48] >> shifts) & 1) << 4
    return _k_values(raw, codes)


def _k_head_scales(raw: U8) -> F16:
    return raw[:, 0:4].copy().view(np.float16)


def _q6_k_values(raw: U8) -> F32:
    """128 bytes of low nibbles, 64 of high bit pairs, 16 int8 scales, d; two halves of 128."""
    low = raw[:, 0:128].reshape(-1, 2, 64)
    high = raw[:, 128:192].reshape(-1, 2, 1, 32)
    nibbles = np.concatenate([low & 15, low >> 4], axis=2).reshape(-1, 2, 4, 32)
    pairs = (high >> np.array([0, 2, 4, 6], np.uint8)[None, None, :, None]) & 3
    q = ((nibbles | (pairs << 4)) - np.uint8(32)).view(np.int8)
    d = _half(raw, 208).astype(np.float32)[:, None] * raw[:, 192:208].view(np.int8)
    values: F32 = d[:, :, None] * q.reshape(-1, 16, 16)
    return values.reshape(-1, 256)


def _q6_k_scales(raw: U8) -> F16:
    return _half(raw, 208)


TYPES: dict[str, BlockType] = {
    t.name: t
    for t in (
        BlockType("F32", 1, 4, _f32_values, _f32_values),
        BlockType("F16", 1, 2, _f16_values, _f16_values),
        BlockType("BF16", 1, 2, _bf16_values, _bf16_values),
        BlockType(
            "Q8_0",
            32,
            34,
            _from_symmetric(_q8_0_symmetric),
            _leading_scale,
            symmetric=_q8_0_symmetric,
            q_min=-128,
            q_max=127,
        ),
        BlockType(
            "Q5_0",
            32,
            22,
            _from_symmetric(_q5_0_symmetric),
            _leading_scale,
            symmetric=_q5_0_symmetric,
            q_min=-16,
            q_max=15,
        ),
        BlockType(
            "Q4_0",
            32,
            18,
            _from_symmetric(_q4_0_symmetric),
            _leading_scale,
            symmetric=_q4_0_symmetric,
            q_min=-8,
            q_max=7,
        ),
        BlockType("Q4_1", 32, 20, _q4_1_values, _q4_1_scales, affine=_q4_1_affine),
        BlockType("Q4_K", 256, 144, _q4_k_values, _k_head_scales, affine=_q4_k_affine),
        BlockType("Q5_K", 256, 176, _q5_k_values, _k_head_scales),
        BlockType("Q6_K", 256, 210, _q6_k_values, _q6_k_scales),
    )
}
