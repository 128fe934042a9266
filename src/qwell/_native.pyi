"""The compiled extension, as native/bindings.cpp defines it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

class Model:
    """A mapped pack with its cache slots and threads. Raises RuntimeError for a malformed pack."""

    def __init__(
        self,
        path: str,
        n_ctx: int,
        n_slots: int,
        n_threads: int,
        isa: str = "auto",
        huge_pages: bool = True,
        precise: bool | None = None,
    ) -> None: ...
    def forward(
        self,
        tokens: NDArray[np.int32],
        slots: NDArray[np.int32],
        positions: NDArray[np.int32],
        outputs: NDArray[np.int32],
        exact: bool = False,
        n_best: NDArray[np.int32] | None = None,
        contenders: Sequence[NDArray[np.uint32] | None] = (),
    ) -> NDArray[np.float32] | None:
        """Logits, (len(outputs), n_vocab), of the rows that outputs names; None when cancelled.

        exact: all of them computed, none guessed. n_best, contenders: of each output, as in
        qwell.backends.Choice; 0: for the whole distribution.
        """

    def settle(self) -> bool:
        """Move about a layer of the weights into huge pages; False when nothing was left to move.

        Not while a pass runs.
        """

    def cancel(self) -> None: ...
    def copy(self, source: int, target: int, n: int) -> None: ...
    def release(self, slot: int) -> None: ...
    def take(self, slot: int, start: int, n: int) -> NDArray[np.uint8]:
        """A copy of n cache entries of all layers; start and n are multiples of 16."""

    def put(self, slot: int, start: int, n: int, piece: NDArray[np.uint8]) -> None:
        """What take gave, into the same places of any slot."""

    @property
    def isa(self) -> str: ...
    @property
    def n_threads(self) -> int: ...
    @property
    def n_ctx(self) -> int: ...
    @property
    def n_slots(self) -> int: ...
    @property
    def n_vocab(self) -> int: ...
    @property
    def huge_bytes(self) -> int: ...
    @property
    def cache_bytes_per_slot(self) -> int: ...
    @property
    def phases(self) -> list[tuple[str, float, float]]:
        """Seconds since the start in each phase of a pass, and how much of them was waiting."""

    @property
    def rescored(self) -> int: ...
    @property
    def bytes_per_token(self) -> int:
        """Bytes of weights that one decoded token reads."""

class Sampler:
    """Draws the tokens of one answer. Raises ValueError for rules out of range."""

    def __init__(
        self,
        n_vocab: int,
        prompt: NDArray[np.int32],
        seed: int,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        presence_penalty: float = 0.0,
        frequency_penalty: float = 0.0,
        bias: list[tuple[int, float]] = ...,
        isa: str = "auto",
    ) -> None: ...
    def next(self, logits: NDArray[np.float32], allowed: NDArray[np.uint32] | None = None) -> int:
        """The next token; -1: a logit is no number, -2: no token is allowed. Changes nothing.

        allowed: a bit for each token, the lowest first.
        """

    def note(self, token: int) -> None:
        """The answer goes on with this token."""

def logprobs(
    logits: NDArray[np.float32], token: int, n_best: int = 0
) -> tuple[float, list[tuple[int, float]]]:
    """Natural logprobs of a token and of the n best, best first; the logits must be finite."""

def read_bandwidth(n_threads: int) -> float:
    """Bytes per second that n threads read from memory together."""

def best_isa() -> str:
    """The instruction set that this CPU would be served with."""
