"""Notices that an answer has fallen into a loop. Sees token ids only, never text.

An answer loops when its tail is one phrase repeated exactly. Tables, code and lists repeat with
changes, and an emphatic "哈哈哈哈哈哈" is short; both stay below the bounds.
"""

from __future__ import annotations

import numpy as np

LONGEST_PHRASE = 256  # tokens
MIN_SPAN = 160  # tokens that the repeated tail covers, however short the phrase
MIN_REPEATS = 4  # times that a long phrase stands there


class LoopGuard:
    """Call `push` for each token of one answer, in order."""

    def __init__(self) -> None:
        self._recent = np.full(LONGEST_PHRASE, -1, dtype=np.int64)  # newest first
        # for each phrase length p: how many tokens in a row equal the one p before them
        self._runs = np.zeros(LONGEST_PHRASE, dtype=np.int64)
        lengths = np.arange(1, LONGEST_PHRASE + 1)
        self._enough = np.maximum(MIN_SPAN, MIN_REPEATS * lengths) - lengths

    def push(self, token: int) -> bool:
        """True when the answer loops now."""
        self._runs = (self._runs + 1) * (self._recent == token)
        self._recent[1:] = self._recent[:-1]
        self._recent[0] = token
        return bool((self._runs >= self._enough).any())
