"""What a reader should know about an answer that was cut short, with a hint for the next try.

Knows why an answer ended; does not end it.
"""

from __future__ import annotations

from qwell.core import Notice, Reason
from qwell.engine.sampling import Rules
from qwell.engine.sequence import Sequence

_LIVELY = 0.7  # temperature at which this family of models seldom loops
_STEP = 0.1  # of repetition_penalty
_STRONGEST = 1.3  # repetition_penalty beyond which answers become odd


def remarks(sequence: Sequence, reason: Reason) -> list[Notice]:
    """Notices for the end of an answer; none for one that came to its own end."""
    if reason == "repetition":
        return [Notice("repetition-loop", {"retry": {"sampling": _livelier(sequence.rules)}})]
    if reason == "length" and _is_unexpected(sequence):
        return [Notice("max-tokens-cut", {"max_tokens": sequence.n_max})]
    return []


def _livelier(rules: Rules) -> dict[str, float]:
    """Sampling under which the same question is less likely to end in a loop."""
    penalty = round(min(_STRONGEST, rules.repetition_penalty + _STEP), 2)
    return {
        "temperature": max(_LIVELY, rules.temperature),
        "repetition_penalty": max(penalty, rules.repetition_penalty),
    }


def _is_unexpected(sequence: Sequence) -> bool:
    """Whether the limit was the server's or the context's, not the caller's own."""
    asked = sequence.request.max_tokens
    return asked is None or sequence.n_max < asked
