"""The layouts, byte for byte as docs/pack-format.md describes them."""

from __future__ import annotations

import numpy as np
import pytest

from qwell.weights.planes import (
    Kind,
    decode,
    encode,
    padded_rows,
    scan_bits,
    scan_columns,
    tensor_bytes,
    values,
)

LIMIT = {Kind.Q8: 256, Kind.Q6: 64, Kind.Q5: 32, Kind.Q4: 16, Kind.ROWS: 256}
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


def random_q4d() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    u = rng.integers(0, 16, (ROWS, COLS)).astype(np.uint8)
    both = rng.integers(0, 1 << 16, (ROWS, COLS // 32)).astype(np.uint16)
    return u, rng.standard_normal((ROWS, 1)).astype(np.float32), both


def test_decode_undoes_encode_of_q4d() -> None:
    raw = encode(Kind.Q4D, *random_q4d())
    assert raw.size == tensor_bytes(Kind.Q4D, ROWS, COLS)
    for before, after in zip(random_q4d(), decode(Kind.Q4D, raw, ROWS, COLS), strict=True):
        assert before.dtype == after.dtype
        np.testing.assert_array_equal(after, before)


def test_every_weight_of_q4d_lies_where_the_document_says() -> None:
    u, d, both = random_q4d()
    groups = encode(Kind.Q4D, u, d, both).reshape(ROWS // 16, -1)
    value = values(Kind.Q4D, u, d, both)
    for row, col in np.ndindex(ROWS, COLS):
        group, r, block = groups[row // 16], row % 16, col // 32
        step = group[4 * r :][:4].view(np.float32)[0]
        pair, i = group[64 + 576 * (block // 2) :][:576], block % 2
        zero, scale = pair[32 * i + 2 * r :][:2].tolist()
        quad, j = col % 32 // 4, col % 4
        byte = pair[64 + 256 * i + lane(quad % 4, r, j)]
        code = int(byte >> 4 if quad >= 4 else byte & 15)
        assert value[row, col] == pytest.approx(step * scale * (code - zero / 16), rel=1e-6)


def lane(v: int, row: int, j: int) -> int:
    """Byte of row and column j of a quad in lane vector v."""
    return 64 * v + 4 * row + j


@pytest.mark.parametrize("kind", [Kind.Q8, Kind.Q6, Kind.Q5, Kind.Q4])
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
        byte = pair[body + 256 * block + lane(quad % 4, r, j)]
        assert (byte >> 4 if quad >= 4 else byte & 15) == u[row, col] & 15
        n_bits = {Kind.Q6: 2, Kind.Q5: 1}.get(kind, 0)
        for i in range(n_bits):
            bits = pair[body + 512 + 64 * (n_bits * block + i) + 4 * r + j]
            assert (bits >> quad) & 1 == u[row, col] >> (4 + i) & 1


def random_scan(cols: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(cols)
    u = rng.integers(0, 1 << scan_bits(cols), (ROWS, cols)).astype(np.uint8)
    return u, rng.standard_normal((ROWS, 1)).astype(np.float32)


def test_bits_of_a_scan_follow_from_its_width_alone() -> None:
    assert scan_columns(64) == (64, 0, 0, 0)
    assert scan_columns(448) == (448, 0, 0, 0)
    assert scan_columns(512) == (32, 64, 192, 224)
    assert scan_columns(896) == (64, 128, 320, 384)
    assert scan_columns(1536) == (96, 224, 544, 672)
    assert scan_bits(896)[[0, 63, 64, 191, 192, 511, 512, 895]].tolist() == [4, 4, 3, 3, 2, 2, 1, 1]


def test_every_block_of_a_scan_has_bits() -> None:
    for cols in range(32, 8224, 32):
        counts = scan_columns(cols)
        assert sum(counts) == cols
        assert all(n >= 0 and n % 32 == 0 for n in counts)
        assert scan_bits(cols).shape == (cols,)


@pytest.mark.parametrize("cols", [64, 512, 896])
def test_a_scan_comes_back(cols: int) -> None:
    u, d = random_scan(cols)
    raw = encode(Kind.SCAN, u, d)
    assert raw.size == tensor_bytes(Kind.SCAN, ROWS, cols)
    u2, d2, m = decode(Kind.SCAN, raw, ROWS, cols)
    np.testing.assert_array_equal(u2, u)
    np.testing.assert_array_equal(d2, d)
    assert m is None


def stored(vectors: np.ndarray, bits: int, quad: int) -> int:
    """A code from what a block's lane vectors hold for one row and column of a quad."""
    of = [int(vector) for vector in vectors]
    if bits == 4:
        return of[quad % 4] >> 4 * (quad // 4) & 15
    if bits < 3:
        per_vector = 8 // bits
        return of[quad // per_vector] >> bits * (quad % per_vector) & (1 << bits) - 1
    if quad < 6:  # two quads in six bits of a vector; the last two in the two bits left of each
        return of[quad // 2] >> 3 * (quad % 2) & 7
    return of[quad - 6] >> 6 | (of[2] >> quad & 1) << 2


def test_every_code_of_a_scan_lies_where_the_document_says() -> None:
    cols = 512
    u, d = random_scan(cols)
    groups = encode(Kind.SCAN, u, d).reshape(ROWS // 16, -1)
    np.testing.assert_array_equal(groups[:, :64].copy().view(np.float32).reshape(-1, 1), d)
    start = 64
    for block, bits in enumerate(scan_bits(cols)[::32].tolist()):
        vectors = groups[:, start : start + 64 * bits].reshape(-1, bits, 16, 4)
        for row, col in np.ndindex(ROWS, 32):
            found = stored(vectors[row // 16, :, row % 16, col % 4], bits, col // 4)
            assert found == u[row, 32 * block + col]
        start += 64 * bits
    assert start == groups.shape[1]


def test_codes_of_a_scan_lie_evenly_around_zero() -> None:
    d = np.full((16, 1), 0.5, np.float32)
    lowest = values(Kind.SCAN, np.zeros((16, 512), np.uint8), d)
    highest = values(Kind.SCAN, np.tile((1 << scan_bits(512)) - 1, (16, 1)).astype(np.uint8), d)
    assert lowest.dtype == np.float32
    assert lowest[3, [0, 32, 96, 288]].tolist() == [-3.75, -1.75, -0.75, -0.25]
    np.testing.assert_array_equal(highest, -lowest)


def test_rows_are_row_major() -> None:
    u, d, _ = random_codes(Kind.ROWS)
    rows = encode(Kind.ROWS, u, d).reshape(ROWS, COLS + COLS // 32 * 2)
    np.testing.assert_array_equal(rows[:, :COLS], u)
    np.testing.assert_array_equal(rows[:, COLS:].copy().view(np.float16), d)


@pytest.mark.parametrize(
    ("kind", "code", "value"),
    [
        (Kind.Q8, 255, 127), (Kind.Q6, 0, -32), (Kind.Q5, 31, 15),
        (Kind.ROWS, 127, 127), (Kind.ROWS, 129, -127),
    ],
)  # fmt: skip
def test_a_code_stands_for_its_value(kind: Kind, code: int, value: float) -> None:
    u = np.full((16, 64), code, np.uint8)
    d = np.full((16, 2), 0.25, np.float16)
    assert (values(kind, u, d) == value / 4).all()


@pytest.mark.parametrize("kind", [Kind.Q8, Kind.Q6, Kind.Q5, Kind.Q4, Kind.Q4D])
def test_pairs_are_whole_cache_lines(kind: Kind) -> None:
    assert tensor_bytes(kind, 16, 64) % 64 == 0


@pytest.mark.parametrize("cols", [64, 512, 896])
def test_groups_of_a_scan_are_whole_cache_lines(cols: int) -> None:
    assert tensor_bytes(Kind.SCAN, 16, cols) % 64 == 0


def test_padded_rows() -> None:
    assert [padded_rows(n) for n in (1, 16, 17, 151936)] == [16, 16, 32, 151936]
