"""The layouts, byte for byte as docs/pack-format.md describes them."""

from __future__ import annotations

import numpy as np
import pytest

from qwell.weights.planes import Kind, decode, encode, padded_rows, tensor_bytes, values

LIMIT = {Kind.Q8: 256, Kind.Q6: 64, Kind.Q5: 32, Kind.Q4: 16, Kind.Q3: 8, Kind.ROWS: 256}
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
    u2, d2, m2 = decode(kind, raw, ROWS, COLS)
    np.testing.assert_array_equal(u2, u)
    np.testing.assert_array_equal(d2, d)
    assert (m2 is None) == (m is None)
    if m is not None:
        np.testing.assert_array_equal(m2, m)


def lane(v: int, row: int, j: int) -> int:
    """Byte of row and column j of a quad in lane vector v."""
    return 64 * v + 4 * row + j


def three_bits(vectors: list[np.uint8], quad: int) -> int:
    """Two quads in six bits of a vector; the last two quads in the two bits left of each."""
    if quad < 6:
        return int(vectors[quad // 2]) >> 3 * (quad % 2) & 7
    return int(vectors[quad - 6]) >> 6 | (int(vectors[2]) >> quad & 1) << 2


@pytest.mark.parametrize("kind", [Kind.Q8, Kind.Q6, Kind.Q5, Kind.Q4, Kind.Q3])
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
        if kind is Kind.Q3:
            vectors = [pair[body + 192 * block + lane(v, r, j)] for v in range(3)]
            assert three_bits(vectors, quad) == u[row, col]
            continue
        byte = pair[body + 256 * block + lane(quad % 4, r, j)]
        assert (byte >> 4 if quad >= 4 else byte & 15) == u[row, col] & 15
        n_bits = {Kind.Q6: 2, Kind.Q5: 1}.get(kind, 0)
        for i in range(n_bits):
            bits = pair[body + 512 + 64 * (n_bits * block + i) + 4 * r + j]
            assert (bits >> quad) & 1 == u[row, col] >> (4 + i) & 1


def test_rows_are_row_major() -> None:
    u, d, _ = random_codes(Kind.ROWS)
    rows = encode(Kind.ROWS, u, d).reshape(ROWS, COLS + COLS // 32 * 2)
    np.testing.assert_array_equal(rows[:, :COLS], u)
    np.testing.assert_array_equal(rows[:, COLS:].copy().view(np.float16), d)


@pytest.mark.parametrize(
    ("kind", "code", "value"),
    [
        (Kind.Q8, 255, 127), (Kind.Q6, 0, -32), (Kind.Q5, 31, 15), (Kind.Q3, 0, -3.5),
        (Kind.Q3, 7, 3.5), (Kind.ROWS, 127, 127), (Kind.ROWS, 129, -127),
    ],
)  # fmt: skip
def test_a_code_stands_for_its_value(kind: Kind, code: int, value: float) -> None:
    u = np.full((16, 64), code, np.uint8)
    d = np.full((16, 2), 0.25, np.float16)
    assert (values(kind, u, d) == value / 4).all()


@pytest.mark.parametrize("kind", [Kind.Q8, Kind.Q6, Kind.Q5, Kind.Q4, Kind.Q3])
def test_pairs_are_whole_cache_lines(kind: Kind) -> None:
    assert tensor_bytes(kind, 16, 64) % 64 == 0


def test_padded_rows() -> None:
    assert [padded_rows(n) for n in (1, 16, 17, 151936)] == [16, 16, 32, 151936]
