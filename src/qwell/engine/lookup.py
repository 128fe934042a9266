"""Guesses how an answer goes on, where it repeats what was said before: code, quotes, lists.

Only guesses: each is verified by sampling as if it had not been made (Engine), so the answer is
the same. Knows tokens, not text.
"""

from __future__ import annotations

_PHRASE = 3  # tokens that must have occurred before
_SHORT, _LONG = 3, 6  # tokens guessed at once, and where guesses are nearly always right
_SURE, _POOR = 0.8, 0.3  # shares of right guesses: above it is long, below it seldom pays
_RETRY = 8  # chances passed over before another try where guesses are poor
_NEWEST = 0.25  # weight of the newest guess


class Lookup:
    """Of one sequence. Call draft with all its tokens, then note with what became of the guess."""

    def __init__(self) -> None:
        self._after: dict[tuple[int, ...], int] = {}  # a phrase: what followed it last time
        self._n_known = _PHRASE
        self._right = 0.5
        self._n_passed = 0

    def draft(self, ids: list[int], most: int) -> list[int]:
        """At most `most` tokens that may follow ids; mostly none."""
        for end in range(self._n_known, len(ids)):
            self._after[tuple(ids[end - _PHRASE : end])] = end
        self._n_known = max(self._n_known, len(ids))
        at = self._after.get(tuple(ids[-_PHRASE:]))
        if at is None or most < 1 or not self._pays():
            return []
        n = _LONG if self._right >= _SURE else _SHORT
        return ids[at : at + min(n, most)]

    def note(self, n_drafted: int, n_right: int) -> None:
        """So many of the guessed tokens were right."""
        self._right += _NEWEST * (n_right / n_drafted - self._right)

    def _pays(self) -> bool:
        if self._right >= _POOR:
            return True
        self._n_passed += 1
        return self._n_passed % _RETRY == 0
