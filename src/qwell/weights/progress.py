"""How far the weights are: what ensure_pack reports and the terminal or page shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Stage = Literal["probe", "download", "verify", "pack"]


@dataclass(frozen=True, slots=True)
class Progress:
    """done of total: bytes for download and verify, weights for pack, sources for probe.

    total is 0 where it is not known.
    """

    stage: Stage
    done: int
    total: int
    detail: str = ""


Report = Callable[[Progress], None]


def unwatched(progress: Progress) -> None:
    """The report of a caller who doesn't watch."""
    del progress
