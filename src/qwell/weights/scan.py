"""The basis in which decoding first looks at all rows of the output head.

Final states are no white noise, so a few directions tell most of every logit: in this basis the
columns stand in order of what they tell, over states as the calibration saw them, and the later
ones can do with fewer bits. Knows the mathematics; not how its tensors are laid out or used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qwell.weights.blocks import F32, TYPES, U8
from qwell.weights.calibration import second_moments, unwatched
from qwell.weights.planes import WIDE, scan_bits
from qwell.weights.quantize import normal_steps
from qwell.weights.source import Source, Tensor, from_array

F64 = NDArray[np.float64]

_SHRINKAGE = 0.3  # of the states' mean square, in every direction: the calibration saw few of them
_SAMPLED_ROWS = 20_000
_RUN = 16  # sampled rows that lie together, for reading one by one is slow
_RUNS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Basis:
    """row . h is nearly mean . h + ((row - mean) @ columns) . (turn @ h)."""

    columns: F32  # (n_embd, n_embd), the most telling first
    turn: F32  # (n_embd, n_embd)
    mean: F32  # (n_embd,), of the rows
    weights: F32  # (n_embd,), what a squared error in a column of rows costs, at most 1


def is_turned(n_embd: int) -> bool:
    """Whether a head of this width has a basis; in a narrow one there is little to save."""
    return n_embd >= WIDE


def turned_parts(
    source: Source, head: Tensor, layer_done: Callable[[], None] = unwatched
) -> tuple[dict[str, Tensor], F32]:
    """The tensors that a scan in a basis needs, by their names in a pack, and its weights.

    Runs the model over the calibration's text, calls layer_done after each of its layers; raises
    what the calibration raises.
    """
    basis = find_basis(second_moments(source, layer_done), head)
    tensors = {
        "head.scan": _projected(head, basis),
        "head.turn": from_array(basis.turn),
        "head.mean": from_array(basis.mean),
    }
    return tensors, basis.weights


def find_basis(moments: F64, head: Tensor) -> Basis:
    """moments: the mean of h h^T over states h, (n_embd, n_embd). Reads some of head's rows.

    Rows are made as large in each column as the best step of its bits asks for, so that one scale
    a row is right for all columns; what is taken from the rows is given to the turn.
    """
    root, inverse = _square_roots(_shrunk(moments))
    mean, spread = _spread(head)
    sizes, directions = np.linalg.eigh(root @ spread @ root)
    order = np.argsort(-sizes, kind="stable")
    columns, turn = root @ directions[:, order], directions[:, order].T @ inverse
    balance = _deviations(sizes[order]) * normal_steps(scan_bits(head.cols))
    return Basis(
        (columns / balance).astype(np.float32),
        (turn * balance[:, None]).astype(np.float32),
        mean.astype(np.float32),
        np.square(balance / balance.max()).astype(np.float32),
    )


def _shrunk(moments: F64) -> F64:
    n = len(moments)
    mean_square = float(np.trace(moments)) / n
    shrunk: F64 = moments + np.eye(n) * (_SHRINKAGE * mean_square or 1.0)
    return shrunk


def _square_roots(symmetric: F64) -> tuple[F64, F64]:
    """The square root of a positive definite matrix, and its inverse."""
    sizes, directions = np.linalg.eigh(symmetric)
    roots = np.sqrt(sizes)
    return (directions * roots) @ directions.T, (directions / roots) @ directions.T


def _spread(head: Tensor) -> tuple[F64, F64]:
    """The mean of head's rows, and their covariance, from rows evenly spread over it."""
    total, square, n = np.zeros(head.cols), np.zeros((head.cols, head.cols)), 0
    starts = _run_starts(head.rows)
    for i in range(0, len(starts), _RUNS_AT_ONCE):
        runs = [
            head.floats(first, min(first + _RUN, head.rows))
            for first in starts[i : i + _RUNS_AT_ONCE]
        ]
        rows = np.concatenate(runs).astype(np.float64)
        total += rows.sum(axis=0)
        square += rows.T @ rows
        n += len(rows)
    mean: F64 = total / n
    return mean, square / n - np.outer(mean, mean)


def _run_starts(rows: int) -> range:
    return range(0, rows, _RUN * max(1, rows // _SAMPLED_ROWS))


def _deviations(sizes: F64) -> F64:
    """Standard deviations of the rows in each direction, none so small that it can't divide."""
    largest = float(sizes.max())
    return np.sqrt(np.maximum(sizes, 1e-9 * largest)) if largest > 0 else np.ones_like(sizes)


def _projected(head: Tensor, basis: Basis) -> Tensor:
    """Rows of the head in the basis, computed whenever they are read."""

    def read(first: int, last: int) -> U8:
        rows = head.floats(first, last) - basis.mean
        return (rows @ basis.columns).view(np.uint8).reshape(-1)

    return Tensor(TYPES["F32"], head.rows, basis.columns.shape[1], read)
