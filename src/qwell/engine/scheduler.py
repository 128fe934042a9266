"""Who runs next: slots, prefix reuse and fair chunks. Policy without tensors, text or clocks.

Every conversation in progress gets a row in every step: one token if it is answering, a fair
share of the budget if its prompt is still being read. So one long prompt delays the others by
a bounded time, whatever this machine's speed (pace.py), and never stops them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence as Items
from dataclasses import dataclass

from qwell.backends import Chunk
from qwell.engine.pace import Pace
from qwell.engine.sequence import Sequence
from qwell.engine.slot import Slot


@dataclass(frozen=True, slots=True)
class Policy:
    """Bounds of one step, in seconds that it should take and tokens of prompts.

    alone       of a prompt when nobody else has work
    shared      of prompts while others wait for their next token: half of the pause that they may
                see, since no estimate is exact
    min_copied  tokens of a shared prefix below which copying it from another slot does not pay
    """

    alone_s: float = 1.0
    alone_tokens: int = 512
    shared_s: float = 0.07
    shared_tokens: int = 512
    min_copied: int = 16


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a sequence will run: in slot, after copying n entries from source."""

    slot: Slot
    source: Slot
    n_reused: int


def common_prefix(left: Items[int], right: Items[int]) -> int:
    n = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        n += 1
    return n


class Scheduler:
    """Holds the queue and the slots; the engine does what it says.

    waiting   accepted sequences without a slot, first come first served
    running   sequences with a slot
    paused    neither, for the time being; one that had a slot keeps it
    """

    def __init__(self, n_slots: int, policy: Policy) -> None:
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self.paused: list[Sequence] = []
        self.slots = [Slot(i) for i in range(n_slots)]
        self._policy = policy
        self._pace = Pace()
        self._uses = 0

    @property
    def n_free(self) -> int:
        return sum(not slot.is_busy for slot in self.slots)

    @property
    def can_admit(self) -> bool:
        return bool(self.waiting) and self.n_free > 0

    @property
    def has_work(self) -> bool:
        """Whether a step would bring anybody forward."""
        return bool(self.running) or self.can_admit

    def place(self, sequence: Sequence) -> Placement:
        """The free slot for this sequence and the slot to take its beginning from.

        The last prompt token is never reused: its logits are needed. A free slot is continued
        in place when most of what it holds is wanted; else its conversation is left alone, as
        far as there is room, and only the shared beginning is copied.
        """
        wanted = sequence.ids[:-1]
        reuse = {slot.index: common_prefix(slot.ids, wanted) for slot in self.slots}
        free = [slot for slot in self.slots if not slot.is_busy]
        source = max(self.slots, key=lambda s: (reuse[s.index], not s.is_busy, -s.index))
        oldest = min(free, key=lambda s: (s.last_used, s.index))
        n = reuse[source.index]
        if not source.is_busy and 2 * n >= len(source.ids):
            return Placement(source, source, n)
        if source is not oldest and n >= reuse[oldest.index] + self._policy.min_copied:
            return Placement(oldest, source, n)
        return Placement(oldest, oldest, reuse[oldest.index])

    def admit(self, placement: Placement) -> Sequence:
        """Move the first waiting sequence into its place. The cache must be copied before."""
        sequence = self.waiting.popleft()
        slot = placement.slot
        slot.ids = sequence.ids[: placement.n_reused]
        slot.is_busy = True
        sequence.slot = slot
        sequence.n_reused = placement.n_reused
        self.running.append(sequence)
        return sequence

    def plan(self) -> list[tuple[Sequence, Chunk]]:
        """The rows of the next step: answering sequences first, then shares of the prompts.

        Shares are equal; what a short prompt leaves over goes to the longer ones.
        """
        answering = [s for s in self.running if s.n_pending == 1]
        reading = sorted((s for s in self.running if s.n_pending > 1), key=lambda s: s.n_pending)
        rows = [(s, s.chunk(1)) for s in answering]
        left = self._budget(is_alone=len(self.running) == 1)
        for done, sequence in enumerate(reading):
            share = max(1, left // (len(reading) - done))
            chunk = sequence.chunk(share)
            rows.append((sequence, chunk))
            left -= len(chunk.tokens)
        return rows

    def _budget(self, *, is_alone: bool) -> int:
        policy = self._policy
        if is_alone:
            return self._pace.tokens_within(policy.alone_s, policy.alone_tokens)
        return self._pace.tokens_within(policy.shared_s, policy.shared_tokens)

    def note(self, rows: Items[tuple[Sequence, Chunk]], took_s: float) -> None:
        """A step over the rows that were planned took so long."""
        n_prompt = sum(len(chunk.tokens) for _, chunk in rows if len(chunk.tokens) > 1)
        self._pace.note(n_prompt, took_s)

    def pause(self, sequence: Sequence) -> None:
        """Leave the sequence out of the steps until it is resumed."""
        self._group_of(sequence).remove(sequence)
        self.paused.append(sequence)

    def resume(self, sequence: Sequence) -> None:
        """Go on where it was paused; one that was waiting is the next."""
        self.paused.remove(sequence)
        if sequence.slot is None:
            self.waiting.appendleft(sequence)
        else:
            self.running.append(sequence)

    def _group_of(self, sequence: Sequence) -> list[Sequence] | deque[Sequence]:
        if sequence in self.paused:
            return self.paused
        return self.waiting if sequence.slot is None else self.running

    def release(self, sequence: Sequence, *, damaged: bool = False) -> None:
        """Forget the sequence; its slot keeps what it holds for the next turn, unless damaged."""
        self._group_of(sequence).remove(sequence)
        if sequence.slot is None:
            return
        self._uses += 1
        sequence.slot.last_used = self._uses
        sequence.slot.is_busy = False
        if damaged:
            sequence.slot.ids = []
        sequence.slot = None
