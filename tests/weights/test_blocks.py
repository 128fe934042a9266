"""Every tensor type against the reference decoder of the format's authors."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwell.weights.blocks import TYPES


def random_blocks(name: str, n: int, seed: int) -> np.ndarray:
    """Random bytes with scales that are finite and of ordinary size."""
    rng = np.random.default_rng(seed)
    kind = TYPES[name]
    raw = rng.integers(0, 256, (n, kind.block_bytes), np.uint8)
    places = {"Q8_0": [0], "Q5_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q4_K": [0, 2],
              "Q5_K": [0, 2], "Q6_K": [208]}.get(name)  # fmt: skip
    if places is None:
        values = rng.standard_normal((n, 1)).astype(np.float32)
        raw = values.view(np.uint8) if name == "F32" else values.astype(np.float16).view(np.uint8)
    for at in places or ():
        raw[:, at : at + 2] = rng.uniform(-0.1, 0.1, (n, 1)).astype(np.float16).view(np.uint8)
    return raw


@pytest.mark.parametrize("name", sorted(TYPES))
@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_dequantised_values_equal_the_reference(name: str, seed: int) -> None:
    raw = random_blocks(name, 3, seed)
    expected = gguf.dequantize(raw, gguf.GGMLQuantizationType[name]).reshape(3, -1)
    np.testing.assert_array_equal(TYPES[name].dequantize(raw), expected)


@pytest.mark.parametrize("name", sorted(TYPES))
def test_sizes_equal_the_reference(name: str) -> None:
    sizes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]
    assert (TYPES[name].block_values, TYPES[name].block_bytes) == sizes


@pytest.mark.parametrize("name", ["Q8_0", "Q5_0", "Q4_0"])
def test_symmetric_view_is_exact(name: str) -> None:
    kind, raw = TYPES[name], random_blocks(name, 50, 7)
    assert kind.symmetric
    d, q = kind.symmetric(raw)
    values = d.astype(np.float32)[:, None] * q.astype(np.float32)
    np.testing.assert_array_equal(values, kind.dequantize(raw))
    assert kind.q_min <= q.min()
    assert q.max() <= kind.q_max


@pytest.mark.parametrize(("name", "tolerance"), [("Q4_1", 0), ("Q4_K", 2**-10)])
def test_affine_view_holds_the_values(name: str, tolerance: float) -> None:
    """Q4_K's scales are products, rounded once to float16."""
    kind, raw = TYPES[name], random_blocks(name, 50, 7)
    assert kind.affine
    d, m, u = kind.affine(raw)
    scale, minimum = d.astype(np.float32)[:, None], m.astype(np.float32)[:, None]
    error = np.abs((scale * u + minimum).reshape(50, -1) - kind.dequantize(raw))
    bound = (np.abs(scale) * 15 + np.abs(minimum)).reshape(50, -1).max()
    assert error.max() <= tolerance * bound
