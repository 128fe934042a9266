"""The default backend: qwell's own engine over a packed model file. Knows no text.

Slots are cut into passes of at most 512 rows; the engine decides what goes together.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from qwell.backends import Cancelled, Chunk, Limits, Logits
from qwell.backends.extension import extension
from qwell.errors import QwellError

MAX_ROWS = 512  # rows of one native pass (Model::kMaxRows)


class NativeBackend:
    """Raises QwellError weights-corrupt when the pack is malformed."""

    verifies = True

    def __init__(
        self,
        path: Path,
        *,
        n_ctx: int,
        n_slots: int,
        n_threads: int,
        isa: str = "auto",
        huge_pages: bool = True,
    ) -> None:
        native = extension()
        try:
            self._model = native.Model(str(path), n_ctx, n_slots, n_threads, isa, huge_pages)
        except RuntimeError as error:
            raise QwellError(
                "weights-corrupt",
                found=f"{path}: {error}",
                expected="a pack file written by this version of qwell",
                fix=f"delete {path} and start again: it is rebuilt from the source file",
            ) from error
        self.is_settled, self._is_new = not huge_pages, True
        self.limits = Limits(n_vocab=self._model.n_vocab, n_ctx=n_ctx, n_slots=n_slots)
        self.isa: str = self._model.isa
        self.n_threads: int = self._model.n_threads
        self.slow_why = _slow_why(self.isa, platform.machine())

    def forward(self, batch: Sequence[Chunk]) -> list[Logits | None]:
        if not self._is_new:  # the first token of all is not made to wait
            self.settle()
        self._is_new = False
        logits: list[Logits | None] = []
        for group in _passes(batch):
            logits += self._pass(group)
        wanted = iter(logits)
        return [next(wanted) if chunk.want_logits else None for chunk in batch]

    def settle(self) -> bool:
        """Move a part of the weights into huge pages, in which a pass takes two thirds of the time.

        That is new memory, for which a virtual machine's host may need most of a second in all.
        """
        if not self.is_settled:
            self.is_settled = not self._model.settle()
        return self.is_settled

    def _pass(self, chunks: Sequence[Chunk]) -> list[Logits]:
        ends = np.cumsum([len(chunk.tokens) for chunk in chunks])
        choices = [chunk.choice for chunk in chunks for _ in range(_n_wanted(chunk))]
        rows = self._model.forward(
            np.concatenate([np.asarray(chunk.tokens, np.int32) for chunk in chunks]),
            np.repeat([chunk.slot for chunk in chunks], np.diff(ends, prepend=0)).astype(np.int32),
            np.concatenate([_positions(chunk) for chunk in chunks]),
            np.concatenate(
                [_wanted(int(end), chunk) for end, chunk in zip(ends, chunks, strict=True)]
            ),
            n_best=np.array([choice.n_best if choice else 0 for choice in choices], np.int32),
            contenders=[choice and choice.contenders for choice in choices],
        )
        if rows is None:
            raise Cancelled
        return [rows] if chunks[-1].n_drafted else list(rows)

    def copy(self, source: int, target: int, n: int) -> None:
        self._model.copy(source, target, n)

    def take(self, slot: int, start: int, n: int) -> bytes:
        return bytes(self._model.take(slot, start, n))

    def put(self, slot: int, start: int, n: int, piece: bytes) -> None:
        self._model.put(slot, start, n, np.frombuffer(piece, np.uint8))

    def cancel(self) -> None:
        self._model.cancel()

    def close(self) -> None:
        del self._model


def _slow_why(isa: str, machine: str) -> str:
    """Empty where the kernels of some instruction set are used."""
    if isa != "portable":
        return ""
    lacking = "AVX2" if machine in ("x86_64", "AMD64") else "dot-product instructions"
    return f"slow: this CPU, or the virtual machine, has no {lacking}"


def _wanted(end: int, chunk: Chunk) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """The rows, of which the chunk's last is end - 1, whose logits it wants."""
    return np.arange(end - _n_wanted(chunk), end, dtype=np.int32)


def _n_wanted(chunk: Chunk) -> int:
    return chunk.n_drafted + 1 if chunk.want_logits else 0


def _positions(chunk: Chunk) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.arange(chunk.start, chunk.start + len(chunk.tokens), dtype=np.int32)


def _passes(batch: Sequence[Chunk]) -> list[list[Chunk]]:
    """The same rows in passes of at most MAX_ROWS; only a chunk's last piece wants logits."""
    passes: list[list[Chunk]] = [[]]
    room = MAX_ROWS
    for chunk in batch:
        done = 0
        while done < len(chunk.tokens):
            n = min(room, len(chunk.tokens) - done)
            is_last = done + n == len(chunk.tokens)
            passes[-1].append(
                replace(
                    chunk,
                    start=chunk.start + done,
                    tokens=chunk.tokens[done : done + n],
                    want_logits=chunk.want_logits and is_last,
                )
            )
            done += n
            room -= n
            if room == 0:
                passes.append([])
                room = MAX_ROWS
    return [group for group in passes if group]
