"""Slots and the store of prefixes: what a slot gets from disk, and what is kept of it.

Knows when; how bytes are kept is the store's business, what they mean the backend's.
"""

from __future__ import annotations

from functools import partial

from qwell.backends import KeepsPieces
from qwell.engine.prefix_store import PIECE, PrefixStore
from qwell.engine.slot import Slot


class Warmth:
    """Between one backend and one store."""

    def __init__(self, backend: KeepsPieces, store: PrefixStore) -> None:
        self._backend = backend
        self._store = store

    def restore(self, slot: Slot, wanted: list[int], n_held: int) -> int:
        """Fill slot, which holds n_held of the wanted tokens, from disk. Returns how many it holds.

        Whole pieces only, and only where they bring more than the slot has.
        """
        names = self._store.names(wanted)
        n_kept = self._store.n_kept(names)
        for i in range(n_held // PIECE, n_kept):
            piece = self._store.read(names[i])
            if piece is None:
                break
            try:
                self._backend.put(slot.index, i * PIECE, PIECE, piece)
            except ValueError:
                break
            n_held = max(n_held, (i + 1) * PIECE)
        self._store.use(names[: n_held // PIECE])
        return n_held

    def keep(self, slot: Slot) -> None:
        """Write what the slot holds and the store does not."""
        names = self._store.names(slot.ids)
        self._store.use(names)
        for i, name in enumerate(names):
            self._store.write(name, partial(self._backend.take, slot.index, i * PIECE, PIECE))

    def close(self) -> None:
        self._store.close()
