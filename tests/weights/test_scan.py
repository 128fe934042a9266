"""The basis tells more of the logits than its bytes would elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qwell.weights import scan
from qwell.weights.blocks import F32
from qwell.weights.planes import Kind, values
from qwell.weights.quantize import quantize_q3
from qwell.weights.scan import Basis, find_basis, in_basis, rank_of
from qwell.weights.source import from_array
from qwell.weights.tiny import tiny_config, tiny_source

WIDTH, RANK, ROWS = 128, 64, 1000


def decaying(rng: np.random.Generator, n: int, width: int = WIDTH) -> F32:
    """Rows whose directions differ in size by a factor of 30, off their middle."""
    axes = np.linalg.qr(rng.standard_normal((width, width)))[0]
    sizes = np.geomspace(3, 0.1, width)
    rows: F32 = (rng.standard_normal((n, width)) * sizes @ axes + axes[3]).astype(np.float32)
    return rows


def three_bits(w: F32) -> F32:
    d, u = quantize_q3(w.reshape(-1, 32))
    return values(Kind.Q3, u.reshape(w.shape), d.reshape(len(w), -1))


def guessed(w: F32, h: F32, basis: Basis) -> F32:
    """Logits as decoding sees them first, (states, rows)."""
    seen = three_bits((w - basis.mean) @ basis.columns)
    logits: F32 = h @ basis.mean[:, None] + h @ basis.turn.T @ seen.T
    return logits


def off(logits: F32, wanted: F32) -> float:
    return float(np.std(logits - wanted) / np.std(wanted))


@pytest.fixture
def drawn() -> tuple[F32, F32, Basis]:
    """Rows, states that took no part in finding the basis, and the basis."""
    rng = np.random.default_rng(7)
    w, states = decaying(rng, ROWS), decaying(rng, 1200)
    seen, held_out = states[:900], states[900:]
    moments = seen.T.astype(np.float64) @ seen / len(seen)
    return w, held_out, find_basis(moments, from_array(w), RANK)


def test_rank() -> None:
    widths = (64, 448, 512, 576, 896, 1536, 3584)
    assert [rank_of(n) for n in widths] == [64, 448, 256, 320, 448, 768, 1792]


def test_half_of_the_columns_tell_nearly_what_all_do(drawn: tuple[F32, F32, Basis]) -> None:
    w, h, basis = drawn
    assert basis.columns.shape == (WIDTH, RANK)
    assert basis.turn.shape == (RANK, WIDTH)
    assert basis.mean.shape == (WIDTH,)
    in_all_columns = off(h @ three_bits(w).T, h @ w.T)
    assert off(guessed(w, h, basis), h @ w.T) < 1.2 * in_all_columns < 0.25


def test_a_basis_beats_half_of_the_columns_as_they_are(drawn: tuple[F32, F32, Basis]) -> None:
    w, h, basis = drawn
    telling = np.argsort(-np.square(w).mean(axis=0) * np.square(h).mean(axis=0))[:RANK]
    as_they_are = h[:, telling] @ three_bits(w[:, telling]).T
    assert off(guessed(w, h, basis), h @ w.T) < 0.4 * off(as_they_are, h @ w.T)


def test_states_make_the_basis_better_than_rows_alone(drawn: tuple[F32, F32, Basis]) -> None:
    w, h, basis = drawn
    from_rows_alone = find_basis(np.eye(WIDTH), from_array(w), RANK)
    assert off(guessed(w, h, basis), h @ w.T) < off(guessed(w, h, from_rows_alone), h @ w.T)


def test_without_rounding_a_full_basis_loses_nothing(drawn: tuple[F32, F32, Basis]) -> None:
    w, h, _ = drawn
    basis = find_basis(np.eye(WIDTH), from_array(w), WIDTH)
    logits = h @ basis.mean[:, None] + h @ basis.turn.T @ ((w - basis.mean) @ basis.columns).T
    np.testing.assert_allclose(logits, h @ w.T, rtol=1e-3, atol=1e-3)


def test_columns_come_in_order_and_share_their_size_with_the_turn() -> None:
    w = decaying(np.random.default_rng(3), ROWS)
    basis = find_basis(np.eye(WIDTH), from_array(w), RANK)
    in_rows = ((w - basis.mean) @ basis.columns).std(axis=0)
    assert (np.diff(in_rows) < 0).all()
    in_states = np.linalg.norm(basis.turn, axis=1)  # of states that are as long in every direction
    np.testing.assert_allclose(in_states / in_states[0], in_rows / in_rows[0], rtol=1e-3)


def test_rows_of_a_long_head_are_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    w = decaying(rng, 4000)
    moments = np.eye(WIDTH)
    whole = find_basis(moments, from_array(w), RANK)
    monkeypatch.setattr(scan, "_SAMPLED_ROWS", 1300)
    read: list[tuple[int, int]] = []
    tensor = from_array(w)

    def watched(first: int, last: int) -> np.ndarray:
        read.append((first, last))
        return tensor.read(first, last)

    some = find_basis(moments, replace(tensor, read=watched), RANK)
    assert len(read) == len({first for first, _ in read}) == 84
    assert read[-1][0] > 3900
    h = decaying(rng, 100)
    assert off(guessed(w, h, some), h @ w.T) < 1.2 * off(guessed(w, h, whole), h @ w.T)


@pytest.mark.parametrize("size", [0.0, 1.0])
def test_rows_that_are_all_alike_still_have_a_basis(size: float) -> None:
    w = np.full((100, WIDTH), size, np.float32)
    basis = find_basis(np.zeros((WIDTH, WIDTH)), from_array(w), RANK)
    h = np.ones((1, WIDTH), np.float32)
    np.testing.assert_allclose(guessed(w, h, basis), h @ w.T, atol=1e-3)


def test_tensors_of_a_pack_are_those_of_the_basis(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    states = decaying(rng, 600, 512).astype(np.float64)
    moments = states.T @ states / len(states)
    monkeypatch.setattr(scan, "second_moments", lambda _: moments)
    head = from_array(decaying(rng, 300, 512))
    basis = find_basis(moments, head, 256)
    tensors = in_basis(tiny_source(tiny_config(), seed=0), head)
    np.testing.assert_array_equal(tensors["head.turn"].floats(0, 256), basis.turn)
    np.testing.assert_array_equal(tensors["head.mean"].floats(0, 1)[0], basis.mean)
    wanted = (head.floats(100, 200) - basis.mean) @ basis.columns
    np.testing.assert_allclose(tensors["head.scan"].floats(100, 200), wanted, atol=1e-5)
