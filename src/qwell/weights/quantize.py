"""float32 to codes of 8 to 1 bits with searched scales.

Knows numbers only: no tensor names, no files, no memory layout. Callers bound the memory by
passing a few thousand groups at a time.

Every group of 32 values gets one float16 scale (and a minimum for 4 bits), chosen to make the
squared error small; codes are computed with the scale as rounded to float16, or to a byte. Rows of
a scan get one float32 scale each.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from qwell.weights.blocks import F16, F32, I8, U8

# Scales tried, relative to the one at which the largest value just fits.
_SIGNED_TRIES = (1.0, 0.85, 0.9, 0.95, 1.06)
# Shares of the range that a group's smallest and largest values may lie outside of the codes.
_Q4_CUTS = (0.0, 0.05, 0.1)
# Steps of b bits that round normal values of deviation 1 best, by b (J. Max, 1960).
_NORMAL_STEPS = np.array([np.nan, 1.596, 0.996, 0.586, 0.335], np.float32)


def quantize_q8(w: F32) -> tuple[F16, I8]:
    """(n, 32) to scales (n,) and codes (n, 32) in -127..127."""
    first = np.abs(w).max(axis=1) / np.float32(127)
    q = np.rint(w * _inverse(first)[:, None])
    d = _least_squares(w, q, first)
    return d, _codes(w, d, -127, 127)


def quantize_q6(w: F32) -> tuple[F16, I8]:
    """(n, 32) to scales (n,) and codes (n, 32) in -32..31."""
    return _signed(w, -32)


def quantize_q5(w: F32) -> tuple[F16, I8]:
    """(n, 32) to scales (n,) and codes (n, 32) in -16..15."""
    return _signed(w, -16)


def _signed(w: F32, low: int) -> tuple[F16, I8]:
    """Codes from low to -low - 1.

    The scale is signed, so that the value of largest magnitude can use the code low.
    """
    largest = np.take_along_axis(w, np.abs(w).argmax(axis=1)[:, None], axis=1)[:, 0]
    start = largest / np.float32(low)
    best_score = np.full(len(w), -1, np.float32)
    best = start.copy()
    for ratio in _SIGNED_TRIES:
        q = w * _inverse(start * np.float32(ratio))[:, None]
        np.rint(q, out=q)
        np.clip(q, low, -low - 1, out=q)
        wq = np.einsum("ij,ij->i", w, q)
        qq = np.einsum("ij,ij->i", q, q)
        np.maximum(qq, np.float32(1e-30), out=qq)
        score = wq * wq / qq  # squared length of w explained by q
        better = score > best_score
        best_score[better] = score[better]
        best[better] = (wq / qq)[better]
    d = best.astype(np.float16)
    return d, _codes(w, d, low, -low - 1)


def quantize_q4(w: F32) -> tuple[F16, F16, U8]:
    """(n, 32) to scales (n,), minima (n,) and codes (n, 32) in 0..15."""
    low, high = w.min(axis=1), w.max(axis=1)
    best_d, best_m = (high - low) / np.float32(15), low.copy()
    best_error = _affine_error(w, best_d, best_m)
    span = high - low
    for below, above in product(_Q4_CUTS, _Q4_CUTS):
        d, m = span * np.float32((1 - below - above) / 15), low + span * np.float32(below)
        d, m = _fit_line(w, _affine_codes(w, d, m), d, m)
        error = _affine_error(w, d, m)
        better = error < best_error
        best_error[better], best_d[better], best_m[better] = error[better], d[better], m[better]
    d16, m16 = best_d.astype(np.float16), best_m.astype(np.float16)
    codes = _affine_codes(w, d16.astype(np.float32), m16.astype(np.float32))
    return d16, m16, codes.astype(np.uint8)


def double_quantize_q4(w: F32, d: F32, m: F32) -> tuple[F32, NDArray[np.uint16], U8]:
    """Rows (n, blocks, 32) with scales and minima (n, blocks) to whole numbers in steps of a row.

    Steps (n, 1), scale * 256 + zero point (n, blocks), and codes (n, blocks, 32) in 0..15, for
    values step * scale * (code - zero / 16), scale in 1..255 and zero in 0..255. Scales that are
    quantised themselves: T. Dettmers et al., QLoRA, 2023.
    """
    ends = m, m + np.float32(15) * d
    low = np.minimum(np.minimum(*ends), np.float32(0))  # a zero point lies between the ends
    span = np.maximum(np.maximum(*ends), np.float32(0)) - low
    step = span.max(axis=1, keepdims=True) / np.float32(15 * 255)
    # Rather up: a scale too small cuts a block's largest values, one too large rounds them more.
    scale = np.clip(np.ceil(span * _inverse(step) / np.float32(15) - np.float32(0.25)), 1, 255)
    inverse = _inverse(scale * step)
    zero = np.clip(np.rint(low * inverse * np.float32(-16)), 0, 255)
    codes = w * inverse[:, :, None]
    codes += zero[:, :, None] / np.float32(16)
    np.clip(np.rint(codes, out=codes), 0, 15, out=codes)
    both = (scale * 256 + zero).astype(np.uint16)
    return step, both, codes.astype(np.uint8)


def normal_steps(bits: U8) -> F32:
    """The best step between codes of as many bits (1 to 4), for values of deviation 1."""
    steps: F32 = _NORMAL_STEPS[bits]
    return steps


def quantize_scan(w: F32, bits: U8, weights: F32) -> tuple[F32, U8]:
    """(n, cols) to scales (n, 1) and codes (n, cols), for values d * (code - (2^bits - 1) / 2).

    No code is 0: the few there are lie evenly on both sides of it. Columns should be as large as
    normal values whose best step is the same for all of them.

    bits     # (cols,), 1 to 4
    weights  # (cols,), how much a column's squared error matters
    """
    half = np.float32(2) ** (bits - np.float32(1))
    in_deviations = w * normal_steps(bits)
    d = np.sqrt(np.einsum("ij,ij->i", in_deviations, in_deviations) / np.float32(w.shape[1]))
    d = _weighted_fit(w, _between(w, d, half), weights, d, (0.5, 2.0))
    q = _between(w, d, half)
    codes = (q + (half - np.float32(0.5))).astype(np.uint8)
    return _weighted_fit(w, q, weights, d, (0.7, 1.4))[:, None], codes


def _between(w: F32, d: F32, half: F32) -> F32:
    """The nearest of .5 - half, 1.5 - half .. half - .5 to w / d."""
    q = w * _inverse(d)[:, None]
    np.floor(q, out=q)
    np.clip(q, -half, half - np.float32(1), out=q)
    q += np.float32(0.5)
    return q


def _weighted_fit(w: F32, q: F32, weights: F32, d: F32, within: tuple[float, float]) -> F32:
    """The scale that makes d * q closest to w, within these ratios to d as it was."""
    weighted = q * weights
    best = np.einsum("ij,ij->i", weighted, w) / np.einsum("ij,ij->i", weighted, q)
    low, high = within
    fit: F32 = np.clip(best, d * np.float32(low), d * np.float32(high))
    return fit


def _inverse(d: F32) -> F32:
    """1 / d, and 0 where d is too small to divide by: such groups become all zero."""
    return np.divide(np.float32(1), d, out=np.zeros_like(d), where=np.abs(d) > np.float32(1e-37))


def _least_squares(w: F32, q: F32, fallback: F32) -> F16:
    """The scale that makes d * q closest to w."""
    qq = np.einsum("ij,ij->i", q, q)
    wq = np.einsum("ij,ij->i", w, q)
    best: F32 = np.divide(wq, qq, out=fallback.copy(), where=qq > 0)
    return best.astype(np.float16)


def _codes(w: F32, d: F16, low: int, high: int) -> I8:
    q = w * _inverse(d.astype(np.float32))[:, None]
    np.rint(q, out=q)
    return np.clip(q, low, high, out=q).astype(np.int8)


def _affine_codes(w: F32, d: F32, m: F32) -> F32:
    u = (w - m[:, None]) * _inverse(d)[:, None]
    np.rint(u, out=u)
    return np.clip(u, 0, 15, out=u)


def _affine_error(w: F32, d: F32, m: F32) -> F32:
    off = _affine_codes(w, d, m) * d[:, None] + m[:, None] - w
    error: F32 = np.einsum("ij,ij->i", off, off)
    return error


def _fit_line(w: F32, u: F32, d: F32, m: F32) -> tuple[F32, F32]:
    """Least squares for w = d * u + m; keeps d and m where all codes are equal."""
    n = np.float32(w.shape[1])
    mean_u, mean_w = u.mean(axis=1), w.mean(axis=1)
    spread = np.einsum("ij,ij->i", u, u) - n * mean_u * mean_u
    shared = np.einsum("ij,ij->i", u, w) - n * mean_u * mean_w
    fits = spread > np.float32(0.5)
    slope = np.divide(shared, spread, out=d.copy(), where=fits)
    return slope, np.where(fits, mean_w - slope * mean_u, m)
