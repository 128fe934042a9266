"""The basis tells more of the logits than its bytes would elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qwell.weights import scan
from qwell.weights.blocks import F32
from qwell.weights.planes import Kind, scan_bits, values
from qwell.weights.quantize import normal_steps, quantize_scan
from qwell.weights.scan import Basis, find_basis, is_turned, turned_parts
from qwell.weights.source import from_array
from qwell.weights.tiny import tiny_config, tiny_source

WIDTH, ROWS = 512, 3000


def decaying(rng: np.random.Generator, n: int) -> F32:
    """Rows whose directions differ in size by a factor of 30, off their middle."""
    axes = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0]
    sizes = np.geomspace(3, 0.1, WIDTH)
    rows: F32 = (rng.standard_normal((n, WIDTH)) * sizes @ axes + axes[3]).astype(np.float32)
    return rows


def guessed(w: F32, h: F32, basis: Basis) -> F32:
    """Logits as decoding sees them first, (states, rows)."""
    rows = (w - basis.mean) @ basis.columns
    d, u = quantize_scan(rows, scan_bits(WIDTH), basis.weights)
    logits: F32 = h @ basis.mean[:, None] + h @ basis.turn.T @ values(Kind.SCAN, u, d).T
    return logits


def two_bits(w: F32) -> F32:
    """More bits in all than a scan has, the same for each column."""
    d, u = quantize_scan(w, np.full(WIDTH, 2, np.uint8), np.ones(WIDTH, np.float32))
    seen: F32 = d * (u - np.float32(1.5))
    return seen


def off(logits: F32, wanted: F32) -> float:
    return float(np.std(logits - wanted) / np.std(wanted))


@pytest.fixture(scope="module")
def drawn() -> tuple[F32, F32, Basis]:
    """Rows, states that took no part in finding the basis, and the basis."""
    rng = np.random.default_rng(7)
    rows = decaying(rng, ROWS + 2200)
    w, seen, held_out = np.split(rows, [ROWS, ROWS + 2000])
    moments = seen.T.astype(np.float64) @ seen / len(seen)
    return w, held_out, find_basis(moments, from_array(w))


@pytest.fixture(scope="module")
def from_rows_alone(drawn: tuple[F32, F32, Basis]) -> Basis:
    """What states that are as long in every direction give."""
    return find_basis(np.eye(WIDTH), from_array(drawn[0]))


def test_wide_heads_have_a_basis() -> None:
    assert [is_turned(n) for n in (64, 448, 512, 896, 3584)] == [False, False, True, True, True]


def test_a_basis_has_all_columns(drawn: tuple[F32, F32, Basis]) -> None:
    basis = drawn[2]
    assert basis.columns.shape == basis.turn.shape == (WIDTH, WIDTH)
    assert basis.mean.shape == basis.weights.shape == (WIDTH,)


def test_a_basis_beats_more_bits_in_columns_as_they_are(drawn: tuple[F32, F32, Basis]) -> None:
    w, h, basis = drawn
    assert off(guessed(w, h, basis), h @ w.T) < 0.85 * off(h @ two_bits(w).T, h @ w.T) < 0.2


def test_states_make_the_basis_better_than_rows_alone(
    drawn: tuple[F32, F32, Basis], from_rows_alone: Basis
) -> None:
    w, h, basis = drawn
    assert off(guessed(w, h, basis), h @ w.T) < off(guessed(w, h, from_rows_alone), h @ w.T)


def test_without_rounding_a_basis_loses_nothing(drawn: tuple[F32, F32, Basis]) -> None:
    w, h, basis = drawn
    logits = h @ basis.mean[:, None] + h @ basis.turn.T @ ((w - basis.mean) @ basis.columns).T
    np.testing.assert_allclose(logits, h @ w.T, rtol=1e-3, atol=1e-3)


def test_columns_are_as_large_as_the_best_step_of_their_bits_asks_for(
    drawn: tuple[F32, F32, Basis], from_rows_alone: Basis
) -> None:
    w, basis = drawn[0], from_rows_alone
    in_rows = ((w - basis.mean) @ basis.columns).std(axis=0)
    np.testing.assert_allclose(in_rows * normal_steps(scan_bits(WIDTH)), 1, rtol=1e-3)


def test_weights_are_what_states_make_of_an_error_in_a_column(from_rows_alone: Basis) -> None:
    basis = from_rows_alone
    in_states = np.square(basis.turn).sum(axis=1)  # of states as long in every direction
    np.testing.assert_allclose(in_states / in_states.max(), basis.weights, rtol=1e-3)
    telling = basis.weights / np.square(normal_steps(scan_bits(WIDTH)))
    assert (np.diff(telling) < 0).all()


def test_rows_of_a_long_head_are_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    w = decaying(rng, 4000)
    moments = np.eye(WIDTH)
    whole = find_basis(moments, from_array(w))
    monkeypatch.setattr(scan, "_SAMPLED_ROWS", 1300)
    read: list[tuple[int, int]] = []
    tensor = from_array(w)

    def watched(first: int, last: int) -> np.ndarray:
        read.append((first, last))
        return tensor.read(first, last)

    some = find_basis(moments, replace(tensor, read=watched))
    assert len(read) == len({first for first, _ in read}) == 84
    assert read[-1][0] > 3900
    h = decaying(rng, 100)
    assert off(guessed(w, h, some), h @ w.T) < 1.2 * off(guessed(w, h, whole), h @ w.T)


@pytest.mark.parametrize("size", [0.0, 1.0])
def test_rows_that_are_all_alike_still_have_a_basis(size: float) -> None:
    w = np.full((100, WIDTH), size, np.float32)
    basis = find_basis(np.zeros((WIDTH, WIDTH)), from_array(w))
    h = np.ones((1, WIDTH), np.float32)
    np.testing.assert_allclose(guessed(w, h, basis), h @ w.T, atol=1e-3)


def test_tensors_of_a_pack_are_those_of_the_basis(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    states = decaying(rng, 600).astype(np.float64)
    moments = states.T @ states / len(states)
    monkeypatch.setattr(scan, "second_moments", lambda _source, _layer_done: moments)
    head = from_array(decaying(rng, 300))
    basis = find_basis(moments, head)
    tensors, weights = turned_parts(tiny_source(tiny_config(), seed=0), head)
    np.testing.assert_array_equal(weights, basis.weights)
    np.testing.assert_array_equal(tensors["head.turn"].floats(0, WIDTH), basis.turn)
    np.testing.assert_array_equal(tensors["head.mean"].floats(0, 1)[0], basis.mean)
    wanted = (head.floats(100, 200) - basis.mean) @ basis.columns
    np.testing.assert_allclose(tensors["head.scan"].floats(100, 200), wanted, atol=1e-4)
