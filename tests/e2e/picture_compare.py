"""Whether two pictures of a page show the same. Knows no page.

Pictures are compared as a person sees them from some distance: by the mean colour of small
squares, each of which may have moved to a square beside it. What another rasteriser or another
font does to letters is lost in it; a part that is missing, moved, overflowing or of another
colour is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

Squares = npt.NDArray[np.float64]

SQUARE_PX = 8
TOLERANCE = 20  # of 255, for the colour of a square
MAY_DIFFER = 0.0025  # of the squares: all text in a serif font is 0.0018, a missing line 0.004


@dataclass(frozen=True)
class Difference:
    """share: of squares that differ. box: what holds them all, in pixels; None without any."""

    share: float
    box: tuple[int, int, int, int] | None

    @property
    def is_visible(self) -> bool:
        return self.share > MAY_DIFFER


def compare(expected: Image.Image, actual: Image.Image) -> Difference:
    """Pictures of different sizes differ everywhere."""
    if expected.size != actual.size:
        return Difference(1.0, (0, 0, *actual.size))
    one, other = _squares(expected), _squares(actual)
    differing = np.maximum(_distance(one, other), _distance(other, one)) > TOLERANCE
    if not differing.any():
        return Difference(0.0, None)
    rows, columns = np.nonzero(differing)
    left, top = columns.min() * SQUARE_PX, rows.min() * SQUARE_PX
    right, bottom = (columns.max() + 1) * SQUARE_PX, (rows.max() + 1) * SQUARE_PX
    return Difference(float(differing.mean()), (int(left), int(top), int(right), int(bottom)))


def _distance(one: Squares, other: Squares) -> npt.NDArray[np.float64]:
    """Of each square to the likest around its place in the other  # (rows, columns)."""
    rows, columns, _ = one.shape
    padded = np.pad(other, ((1, 1), (1, 1), (0, 0)), mode="edge")
    around = [padded[y : y + rows, x : x + columns] for y in range(3) for x in range(3)]
    return np.min([np.abs(one - it).max(axis=2) for it in around], axis=0)


def _squares(picture: Image.Image) -> Squares:
    """Mean colours of squares  # (rows, columns, 3)."""
    size = (-(-picture.width // SQUARE_PX), -(-picture.height // SQUARE_PX))
    return np.asarray(picture.convert("RGB").resize(size, Image.Resampling.BOX), np.float64)
