"""What a user does, and what is good enough: the assumptions of a plan. Plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Workload:
    """What a user does, and what is good enough.

    prompt_tokens   new ones in a turn: earlier turns are in the cache
    answer_tokens   of a turn
    think_s         between the end of an answer and the next question, on average
    ttft_s          95 of 100 first tokens come within it
    tok_s           90 of 100 answers are at least this fast: people read 5 to 8 tokens a second
    """

    prompt_tokens: int = 60
    answer_tokens: int = 200
    think_s: float = 40.0
    ttft_s: float = 2.0
    tok_s: float = 8.0
