"""One request on its way: its tokens, what was said of it, and when. Does not know the backend."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from qwell.backends import Choice, Chunk
from qwell.core import Request, Timings, Usage
from qwell.engine.constraint import Constraint
from qwell.engine.lookup import Lookup
from qwell.engine.sampling import Contenders, Rules
from qwell.engine.slot import Slot
from qwell.engine.transcript import Transcript

if TYPE_CHECKING:
    from qwell._native import Sampler


@dataclass(slots=True, eq=False)
class Sequence:
    """State between two steps. All times in seconds of the engine's clock.

    ids         prompt and answer so far; the slot holds a beginning of them
    n_reused    prompt tokens that were in the cache when it got its slot
    n_max       tokens of answer at most
    contenders  which logits the sampler must know exactly
    constraint  what the answer must follow, if anything
    """

    request: Request
    ids: list[int]
    n_prompt: int
    n_max: int
    rules: Rules
    sampler: Sampler
    contenders: Contenders
    transcript: Transcript
    arrived: float
    constraint: Constraint | None = None
    lookup: Lookup = field(default_factory=Lookup)
    n_dropped: int = 0  # tokens that the context had no room for
    slot: Slot | None = None
    n_reused: int = 0
    position: int = -1  # place in the queue that was last reported
    next_report: float = -inf  # not to be told of another place before
    admitted: float | None = None
    first_token: float | None = None

    @property
    def n_cached(self) -> int:
        return len(self.slot.ids) if self.slot else 0

    @property
    def n_pending(self) -> int:
        """Tokens that the backend has not seen: more than one while the prompt is being read."""
        return len(self.ids) - self.n_cached

    @property
    def n_answer(self) -> int:
        return len(self.ids) - self.n_prompt

    def chunk(self, n: int) -> Chunk:
        """The next n pending tokens, fewer at the end."""
        assert self.slot is not None
        start = self.n_cached
        tokens = self.ids[start : start + n]
        is_last = start + len(tokens) == len(self.ids)
        return Chunk(self.slot.index, start, tokens, want_logits=is_last, choice=self.choice())

    def choice(self, n_drafted: int = 0) -> Choice | None:
        """What the next logits are wanted for: who is told of them sees the whole distribution.

        Under a constraint the likeliest tokens may all be forbidden.
        """
        if self.constraint is not None or self.request.top_logprobs is not None:
            return None
        return self.contenders.choice(n_drafted)

    def take(self, token: int) -> None:
        """The answer goes on with a token."""
        self.ids.append(token)
        self.sampler.note(token)
        self.contenders.note(token)

    def usage(self) -> Usage:
        return Usage(self.n_prompt, self.n_reused, self.n_answer, self.n_dropped)

    def timings(self, now: float) -> Timings:
        """Milliseconds; 0 for what did not happen. tok_s: rate of the tokens after the first."""
        admitted = now if self.admitted is None else self.admitted
        first = now if self.first_token is None else self.first_token
        rest_s = now - first
        return Timings(
            queue_ms=1000 * (admitted - self.arrived),
            prefill_ms=1000 * (first - admitted),
            ttft_ms=0.0 if self.first_token is None else 1000 * (first - self.arrived),
            tok_s=(self.n_answer - 1) / rest_s if self.n_answer > 1 and rest_s > 0 else 0.0,
        )
