"""The narrow waist: token ids in, logits out, nothing else.

A backend knows no text, no sampling and no clock. The engine drives every backend through
this contract, so an answer that differs between two backends differs in its numbers only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# in quotes: the parent process imports this package and has no use for numpy
Logits: TypeAlias = "NDArray[np.float32]"  # (n_vocab,)


@dataclass(frozen=True, slots=True)
class Limits:
    n_vocab: int
    n_ctx: int  # tokens per slot
    n_slots: int  # sequences held at once


@dataclass(frozen=True, slots=True)
class Choice:
    """What logits are wanted for, where that is less than the whole distribution.

    n_best      so many of the likeliest contenders, and all tokens that come near them, have the
                model's own logits; others may have guesses, as long as these are lower
    contenders  a bit for each token, the lowest first, (n_vocab / 32 rounded up,); None: all
    """

    n_best: int
    contenders: NDArray[np.uint32] | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Tokens to append to one slot.

    start         cache entries of the slot that stay valid; what lies behind is forgotten
    tokens        at least one; token i gets position start + i
    want_logits   logits of the last token are computed (the head is a quarter of a step)
    n_drafted     how many of the last tokens are guesses: logits are computed for the token before
                  them and for each of them. Only for a backend that `verifies`, in a batch alone
    choice        None: the logits are wanted for the whole distribution. A backend may ignore it
    """

    slot: int
    start: int
    tokens: Sequence[int]
    want_logits: bool
    n_drafted: int = 0
    choice: Choice | None = None


class Cancelled(Exception):  # noqa: N818  control flow, not a fault
    """forward was stopped by cancel(); every slot of the batch holds its chunk's start entries."""


class Backend(Protocol):
    limits: Limits
    verifies: bool  # whether a few guessed tokens cost less than computing them one by one

    def forward(self, batch: Sequence[Chunk]) -> list[Logits | None]:
        """Run one pass over all chunks; each slot at most once.

        Returns, per chunk, the logits of its last token, (n_vocab,) float32, or None where
        not wanted; (n_drafted + 1, n_vocab) where tokens were guessed. Raises Cancelled after
        cancel().
        """

    def copy(self, source: int, target: int, n: int) -> None:
        """Copy the first n cache entries of one slot to another: a shared prefix."""

    def cancel(self) -> None:
        """Make a running forward raise Cancelled soon. Callable from any thread."""

    def close(self) -> None:
        """Free memory and threads. The backend is unusable afterwards."""


@runtime_checkable
class Settles(Protocol):
    """What a backend can do besides that is faster some time after it was loaded."""

    def settle(self) -> bool:
        """Do a part of what makes it so, for no longer than a step takes. True: all is done."""


@runtime_checkable
class KeepsPieces(Protocol):
    """What a backend can do besides whose cache entries can leave the process and return."""

    def take(self, slot: int, start: int, n: int) -> bytes:
        """A copy of n cache entries, in a form of the backend's own; multiples of 16."""

    def put(self, slot: int, start: int, n: int, piece: bytes) -> None:
        """What take gave for the same place, by a backend with the same weights.

        Raises ValueError for bytes that take cannot have given.
        """
