"""The layouts, byte for byte as docs/pack-format.md describes them."""

from __future__ import annotations

import numpy as np
import pytest

from qwell.weights.planes import Kind, decode, encode, padded_rows, tensor_bytes

LIMIT = {Kind.Q8: 256, Kind.Q6: 64, Kind.Q5: 32, Kind.Q4: 16, Kind.HI: 256, Kind.LO: 256}
ROWS, COLS = 32, 128


def random_codes(kind: Kind) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    rng = np.random.default_rng(3)
    u = rng.integers(0, LIMIT[kind], (ROWS, COLS)).astype(np.uint8)
    d = rng.standard_normal((ROWS, COLS // 32)).astype(np.float16)
    return u, d, d * np.float16(-2) if kind is Kind.Q4 else None


@pytest.mark.parametrize("kind", list(LIMIT))
def test_decode_undoes_encode(kind: Kind) -> None:
    u, d, m = random_codes(kind)
    raw = encode(kind, u, d, m)
    assert raw.size == tensor_bytes(kind, ROWS, COLS)
    stored = {Kind.HI: u & 0xE0, Kind.LO: u & 0x1F}.get(kind, u)
    u2, d2, m2 = decode(kind, raw, ROWS, COLS)
    np.testing.assert_array_equal(u2, stored)
    np.testing.assert_array_equal(d2, d)
    assert (m2 is None) == (m is None)
    if m is not None:
        np.testing.assert_array_equal(m2, m)


def lane(v: int, row: int, j: int) -> int:
    """Byte of row and column j of a quad in lane vector v."""
    return 64 * v + 4 * row + j


def high_code(vectors: list[np.uint8], quad: int) -> int:
    """Two quads in six bits of a vector; the last two quads in the two bits left of each."""
    if quad < 6:
        return int(vectors[quad // 2]) >> 3 * (quad % 2) & 7
    return int(vectors[quad - 6]) >> 6 | (int(vectors[2]) >> quad & 1) << 2


@pytest.mark.parametrize("kind", [Kind.Q8, Kind.Q6, Kind.Q5, Kind.Q4, Kind.HI])
def test_every_weight_lies_where_the_document_says(kind: Kind) -> None:
    u, d, m = random_codes(kind)
    pairs = encode(kind, u, d, m).reshape(ROWS // 16, COLS // 64, -1)
    body = 64 * (2 if m is not None else 1)  # behind the scales, and the minima, of two blocks
    for row, col in np.ndindex(ROWS, COLS):
        pair, r, block = pairs[row // 16, col // 64], row % 16, col // 32 % 2
        quad, j = col % 32 // 4, col % 4
        scale = pair[32 * block + 2 * r :][:2].view(np.float16)[0]
        assert scale == d[row, col // 32]
        if m is not None:
            minimum = pair[64 + 32 * block + 2 * r :][:2].view(np.float16)[0]
            assert minimum == m[row, col // 32]
        if kind is Kind.Q8:
            assert pair[body + 512 * block + lane(quad, r, j)] == u[row, col]
            continue
        if kind is Kind.HI:
            vectors = [pair[body + 192 * block + lane(v, r, j)] for v in range(3)]
            assert high_code(vectors, quad) == u[row, col] >> 5
            continue
        byte = pair[body + 256 * block + lane(quad % 4, r, j)]
        assert (byte >> 4 if quad >= 4 else byte & 15) == u[row, col] & 15
        n_bits = {Kind.Q6: 2, Kind.Q5: 1}.get(kind, 0)
        for i in range(n_bits):
            bits = pair[body + 512 + 64 * (n_bits * block + i) + 4 * r + j]
            assert (bits >> quad) & 1 == u[row, col] >> (4 + i) & 1


def test_low_plane_is_row_major() -> None:
    u, d, _ = random_codes(Kind.LO)
    rows = encode(Kind.LO, u, d).reshape(ROWS, -1)
    assert rows[5, 16 * 2 + 3] == (u[5, 64 + 3] & 15) | (u[5, 64 + 19] & 15) << 4
    assert rows[5, COLS // 2 + 70 // 8] >> 70 % 8 & 1 == u[5, 70] >> 4 & 1
    np.testing.assert_array_equal(rows[:, COLS * 5 // 8 :].copy().view(np.float16), d)


@pytest.mark.parametrize("kind", [Kind.Q8, Kind.Q6, Kind.Q5, Kind.Q4, Kind.HI])
def test_pairs_are_whole_cache_lines(kind: Kind) -> None:
    assert tensor_bytes(kind, 16, 64) % 64 == 0


def test_padded_rows() -> None:
    assert [padded_rows(n) for n in (1, 16, 17, 151936)] == [16, 16, 32, 151936]
