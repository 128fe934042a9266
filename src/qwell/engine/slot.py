"""One place in the backend's cache, as the engine sees it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Slot:
    """ids: exactly the tokens that the backend holds there. last_used: a counter, not a time."""

    index: int
    ids: list[int] = field(default_factory=list)
    last_used: int = 0
    is_busy: bool = False
