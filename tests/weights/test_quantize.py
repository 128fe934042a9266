from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qwell.weights.quantize import (
    quantize_q3,
    quantize_q4,
    quantize_q5,
    quantize_q6,
    quantize_q8,
)

SIGNED = {"q8": quantize_q8, "q6": quantize_q6, "q5": quantize_q5}
groups = arrays(np.float32, (4, 32), elements=st.floats(-100, 100, width=32, allow_subnormal=False))


def rebuilt(kind: str, w: np.ndarray) -> np.ndarray:
    if kind == "q4":
        d, m, u = quantize_q4(w)
        return d.astype(np.float32)[:, None] * u + m.astype(np.float32)[:, None]
    if kind == "q3":
        d, u = quantize_q3(w)
        return d.astype(np.float32)[:, None] * (u.astype(np.float32) - np.float32(3.5))
    d, q = SIGNED[kind](w)
    return d.astype(np.float32)[:, None] * q.astype(np.float32)


@pytest.mark.parametrize(
    ("kind", "steps"), [("q8", 254), ("q6", 63), ("q5", 31), ("q4", 15), ("q3", 7)]
)
@settings(deadline=None)
@given(w=groups)
def test_no_value_is_off_by_much_more_than_a_step(kind: str, steps: int, w: np.ndarray) -> None:
    span = 2 * np.abs(w).max(axis=1, keepdims=True)
    allowed = 3 * span / steps + 1e-4
    assert (np.abs(rebuilt(kind, w) - w) <= allowed).all()


@pytest.mark.parametrize(
    ("kind", "relative"),
    [("q8", 0.006), ("q6", 0.021), ("q5", 0.042), ("q4", 0.078), ("q3", 0.179)],
)
def test_error_on_normal_weights(kind: str, relative: float) -> None:
    w = np.random.default_rng(0).standard_normal((500, 32), np.float32)
    assert np.linalg.norm(rebuilt(kind, w) - w) / np.linalg.norm(w) < relative


@pytest.mark.parametrize("kind", ["q8", "q6", "q5", "q4", "q3"])
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
    assert quantize_q3(w)[1].max() <= 7


def test_three_bits_bring_back_what_they_can_hold() -> None:
    u = np.random.default_rng(1).integers(0, 8, (50, 32)).astype(np.uint8)
    u[:, 0] = 7
    w = np.float32(0.5) * (u.astype(np.float32) - np.float32(3.5))
    np.testing.assert_array_equal(quantize_q3(w)[1], u)
    np.testing.assert_array_equal(rebuilt("q3", w), w)
