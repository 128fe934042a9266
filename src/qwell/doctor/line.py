"""One line of a pasted text. Knows nothing of what it says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """number counts from 1 in the text as it was given; container is '' where unknown."""

    number: int
    text: str
    container: str = ""
    is_prose: bool = False
