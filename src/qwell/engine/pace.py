"""How many prompt tokens fit into a step of a given length, learnt from the steps before.

Knows durations, not clocks: time is passed in. A machine is met at its speed of this minute, with
its instruction set, its neighbours and the length of the conversation.
"""

from __future__ import annotations

LEAST = 8  # prompt tokens that a step reads in any case, so that every prompt comes forward
_ENOUGH = 8  # tokens below which a duration says little about one of them
_GUESS_S = 0.003  # for a token, before the first measurement: a slow machine
_SLOWER, _FASTER = 0.7, 0.2  # weight of a measurement that is worse, or better, than expected


class Pace:
    """A step costs a base, which answering rows pay as well, and something for each token."""

    def __init__(self) -> None:
        self._base_s = 0.0
        self._token_s: float | None = None

    def note(self, n_prompt: int, took_s: float) -> None:
        """A step with n_prompt tokens of prompts, and any number of answering rows, is over."""
        if n_prompt == 0:
            self._base_s = _moved(self._base_s, took_s)
        elif n_prompt >= _ENOUGH:
            token_s = max(0.0, took_s - self._base_s) / n_prompt
            self._token_s = token_s if self._token_s is None else _moved(self._token_s, token_s)

    def tokens_within(self, limit_s: float, most: int) -> int:
        """Prompt tokens for a step of about limit_s, between LEAST and most."""
        token_s = _GUESS_S if self._token_s is None else self._token_s
        spare_s = limit_s - self._base_s
        if spare_s >= most * token_s:
            return most
        return min(most, max(LEAST, int(spare_s / token_s)))


def _moved(mean: float, value: float) -> float:
    return mean + (_SLOWER if value > mean else _FASTER) * (value - mean)
