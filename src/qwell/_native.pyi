"""The compiled extension, as native/bindings.cpp defines it."""

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
    ) -> NDArray[np.float32] | None:
        """Logits, (len(outputs), n_vocab), of the rows that outputs names; None when cancelled."""

    def cancel(self) -> None: ...
    def copy(self, source: int, target: int, n: int) -> None: ...
    def release(self, slot: int) -> None: ...
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
    def rescored(self) -> int: ...
    @property
    def bytes_per_token(self) -> int:
        """Bytes of weights that one decoded token reads."""

def read_bandwidth(n_threads: int) -> float:
    """Bytes per second that n threads read from memory together."""

def best_isa() -> str:
    """The instruction set that this CPU would be served with."""
