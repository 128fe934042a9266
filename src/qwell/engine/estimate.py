"""How long a waiting request will wait, from how long the last answers took."""

from __future__ import annotations

_WEIGHT = 0.2  # of the newest answer in the running mean


class WaitEstimate:
    """A running mean of the time that answers hold a slot."""

    def __init__(self, n_slots: int) -> None:
        self._n_slots = n_slots
        self._mean_s: float | None = None

    def note(self, held_s: float) -> None:
        """An answer has held a slot for this long."""
        mean_s = held_s if self._mean_s is None else self._mean_s
        self._mean_s = mean_s + _WEIGHT * (held_s - mean_s)

    def wait_s(self, position: int) -> float | None:
        """For the one at position (1 is next); None before anything is known."""
        if self._mean_s is None:
            return None
        return position * self._mean_s / self._n_slots
