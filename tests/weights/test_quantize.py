from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qwell.weights.blocks import F32, U8
from qwell.weights.quantize import (
    double_quantize_q4,
    normal_steps,
    quantize_q4,
    quantize_q5,
    quantize_q6,
    quantize_q8,
    quantize_scan,
)

SIGNED = {"q8": quantize_q8, "q6": quantize_q6, "q5": quantize_q5}
groups = arrays(np.float32, (4, 32), elements=st.floats(-100, 100, width=32, allow_subnormal=False))


def rebuilt(kind: str, w: np.ndarray) -> np.ndarray:
    if kind == "q4":
        d, m, u = quantize_q4(w)
        return d.astype(np.float32)[:, None] * u + m.astype(np.float32)[:, None]
    d, q = SIGNED[kind](w)
    return d.astype(np.float32)[:, None] * q.astype(np.float32)


@pytest.mark.parametrize(("kind", "steps"), [("q8", 254), ("q6", 63), ("q5", 31), ("q4", 15)])
@settings(deadline=None)
@given(w=groups)
def test_no_value_is_off_by_much_more_than_a_step(kind: str, steps: int, w: np.ndarray) -> None:
    span = 2 * np.abs(w).max(axis=1, keepdims=True)
    allowed = 3 * span / steps + 1e-4
    assert (np.abs(rebuilt(kind, w) - w) <= allowed).all()


@pytest.mark.parametrize(
    ("kind", "relative"),
    [("q8", 0.006), ("q6", 0.021), ("q5", 0.042), ("q4", 0.078)],
)
def test_error_on_normal_weights(kind: str, relative: float) -> None:
    w = np.random.default_rng(0).standard_normal((500, 32), np.float32)
    assert np.linalg.norm(rebuilt(kind, w) - w) / np.linalg.norm(w) < relative


@pytest.mark.parametrize("kind", ["q8", "q6", "q5", "q4"])
def test_zeros_stay_zeros(kind: str) -> None:
    assert not rebuilt(kind, np.zeros((2, 32), np.float32)).any()


@settings(deadline=None)
@given(w=groups)
def test_codes_stay_in_their_range(w: np.ndarray) -> None:
    assert np.abs(quantize_q8(w)[1].astype(int)).max() <= 127
    for quantize, most in ((quantize_q6, 32), (quantize_q5, 16)):
        q = quantize(w)[1]
        assert q.min() >= -most
        assert q.max() < most
    assert quantize_q4(w)[2].max() <= 15


def double_quantized(w: F32) -> F32:
    """Rows (n, blocks, 32) as their codes define them."""
    d, m, _ = quantize_q4(w.reshape(-1, 32))
    fitted = (a.astype(np.float32).reshape(w.shape[:2]) for a in (d, m))
    step, both, u = double_quantize_q4(w, *fitted)
    assert u.max() <= 15
    scale, zero = (both >> 8).astype(np.float32), (both & 255).astype(np.float32)
    assert scale.min() >= 1
    rebuilt: F32 = (step * scale)[:, :, None] * (u - zero[:, :, None] / np.float32(16))
    return rebuilt


def test_scales_in_bytes_cost_next_to_nothing() -> None:
    """Blocks of unequal size, as rows of weights have them."""
    rng = np.random.default_rng(0)
    sizes = rng.uniform(0.3, 1, (200, 28, 1)).astype(np.float32)
    w = rng.standard_normal((200, 28, 32), np.float32) * sizes
    plain = rebuilt("q4", w.reshape(-1, 32)).reshape(w.shape)
    assert np.linalg.norm(double_quantized(w) - w) < 1.02 * np.linalg.norm(plain - w)


@settings(deadline=None)
@given(w=groups)
def test_no_block_of_a_row_is_off_by_more_than_its_steps(w: F32) -> None:
    """A row's largest block sets the step that the others' scales count in."""
    row = w[None]
    reach = np.maximum(w.max(axis=1), 0) - np.minimum(w.min(axis=1), 0)
    allowed = reach / 5 + reach.max() / 255 + 1e-4
    assert (np.abs(double_quantized(row) - row)[0] <= allowed[:, None]).all()


def test_one_large_weight_does_not_spoil_its_row() -> None:
    w = np.random.default_rng(0).standard_normal((100, 28, 32), np.float32)
    w[:, 0, 0] = 200
    rest = double_quantized(w)[:, 1:] - w[:, 1:]
    assert np.linalg.norm(rest) < 0.1 * np.linalg.norm(w[:, 1:])


@pytest.mark.parametrize("value", [0.0, 0.5, -0.5])
def test_blocks_of_one_value_keep_it(value: float) -> None:
    w = np.full((2, 2, 32), value, np.float32)
    np.testing.assert_allclose(double_quantized(w), w, atol=0.002)


def test_a_negative_scale_is_turned_round() -> None:
    u = np.arange(32).reshape(1, 1, 32) % 16
    d, m = np.full((1, 1), -0.25, np.float32), np.full((1, 1), 2.0, np.float32)
    w = (d[:, :, None] * u + m[:, :, None]).astype(np.float32)
    step, both, codes = double_quantize_q4(w, d, m)
    np.testing.assert_array_equal(codes, 15 - u)
    assert step[0, 0] * 255 == pytest.approx(0.25)
    assert both[0, 0] == 255 * 256 + 7 * 16


def rebuilt_scan(w: F32, bits: U8, weights: F32 | None = None) -> F32:
    d, u = quantize_scan(w, bits, np.ones(w.shape[1], np.float32) if weights is None else weights)
    assert (u < 1 << bits).all()
    return d * (u - ((1 << bits) - 1) / np.float32(2))


def all_of(bits: int, cols: int = 64) -> U8:
    return np.full(cols, bits, np.uint8)


# Deviation of normal values from what the best uniform quantiser makes of them (J. Max, 1960).
LEAST_ERROR = {1: 0.603, 2: 0.345, 3: 0.1935, 4: 0.1074}


@pytest.mark.parametrize("bits", LEAST_ERROR)
def test_a_scan_of_normal_rows_is_as_near_as_its_bits_allow(bits: int) -> None:
    w = np.random.default_rng(2).standard_normal((50, 2048), np.float32) * np.float32(7)
    off = rebuilt_scan(w, all_of(bits, 2048)) - w
    assert np.linalg.norm(off) / np.linalg.norm(w) < 1.01 * LEAST_ERROR[bits]


def test_columns_of_unlike_bits_share_a_scale() -> None:
    bits = np.repeat(np.array([4, 3, 2, 1], np.uint8), 512)
    w = np.random.default_rng(3).standard_normal((50, 2048), np.float32)
    off = rebuilt_scan(w / normal_steps(bits), bits) * normal_steps(bits) - w
    for of_bits, least in LEAST_ERROR.items():
        part = bits == of_bits
        assert np.linalg.norm(off[:, part]) / np.linalg.norm(w[:, part]) < 1.02 * least


@pytest.mark.parametrize("bits", LEAST_ERROR)
def test_no_other_scale_brings_a_row_nearer_with_its_codes(bits: int) -> None:
    w = np.random.default_rng(1).standard_normal((50, 64), np.float32)
    seen = rebuilt_scan(w, all_of(bits))
    off = np.linalg.norm(seen - w, axis=1)
    for ratio in (0.98, 1.02):
        assert (np.linalg.norm(seen * np.float32(ratio) - w, axis=1) > off).all()


def test_a_scale_suits_the_columns_that_matter() -> None:
    w = np.random.default_rng(4).standard_normal((200, 64), np.float32)
    w[:, 32:] *= np.float32(1.6)
    heavy = np.repeat(np.array([1, 0.001], np.float32), 32)
    suited, alike = (
        np.linalg.norm((rebuilt_scan(w, all_of(2), weights) - w)[:, :32])
        for weights in (heavy, None)
    )
    assert suited < 0.97 * alike


def test_a_scan_of_zeros_is_zero() -> None:
    w = np.zeros((3, 64), np.float32)
    w[1] = np.arange(64)
    d, _ = quantize_scan(w, all_of(3), np.ones(64, np.float32))
    assert d[[0, 2], 0].tolist() == [0, 0]
    assert d[1, 0] > 0


@settings(deadline=None)
@given(w=arrays(np.float32, (4, 64), elements=st.floats(-100, 100, width=32)))
def test_scales_of_a_scan_are_numbers_and_never_below_zero(w: F32) -> None:
    for bits in range(1, 5):
        d, u = quantize_scan(w, all_of(bits), np.ones(64, np.float32))
        assert np.isfinite(d).all()
        assert (d >= 0).all()
        assert (u < 1 << bits).all()
