"""Copies of the logs of answers, so that a reader finds its answer at any front.

One front writes an answer: its owner. Others may follow the copy; who has not written for a while
is gone, and another front may claim its answers. Knows no network and no Ray.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

FRONT_GONE_S = 5.0  # without a word; fronts say one twice a second
READ_FOR_S = 1.5  # after somebody followed: the time to the next call, and some more
FOLLOW_S = 1.0  # what a call waits for news
KEEP_S = 300.0  # an ended answer, as in the fronts
MOST_BYTES = 256 * 2**20  # over all copies; the oldest ended ones go first

Row = tuple[str, int, str]  # stream, number, event as JSON


@dataclass(slots=True)
class _Copy:
    owner: str
    request: Mapping[str, Any]
    events: list[str] = field(default_factory=list)
    n_bytes: int = 0
    is_ended: bool = False
    is_stopped: bool = False  # somebody asked for its end
    followed_at: float = -READ_FOR_S
    touched_at: float = 0.0
    grown: asyncio.Event = field(default_factory=asyncio.Event)


class Ledger:
    """clock: seconds, monotonic. Every method returns at once, but for follow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen_at: dict[str, float] = {}  # fronts
        self._copies: dict[str, _Copy] = {}

    async def commit(
        self,
        front: str,
        begun: Mapping[str, Mapping[str, Any]],
        rows: Sequence[Row],
        ended: set[str],
    ) -> dict[str, list[str]]:
        """Keep what a front has added.

        Told back of its own answers: which another front has, which are followed, which to stop.
        """
        now = self._clock()
        self._seen_at[front] = now
        for stream, request in begun.items():
            self._copies.setdefault(stream, _Copy(front, request, touched_at=now))
        lost = {stream for stream, _, _ in rows if self._is_of_another(stream, front)}
        for stream, number, text in rows:
            if stream not in lost:
                self._put(stream, number, text)
        for stream in ended - lost:
            if (copy := self._copies.get(stream)) is not None:
                copy.is_ended = True
        self._forget_old()
        own = {name: copy for name, copy in self._copies.items() if copy.owner == front}
        return {
            "lost": sorted(lost),
            "followed": [name for name, it in own.items() if now - it.followed_at < READ_FOR_S],
            "stopped": [name for name, it in own.items() if it.is_stopped and not it.is_ended],
        }

    def _is_of_another(self, stream: str, front: str) -> bool:
        copy = self._copies.get(stream)
        return copy is not None and copy.owner != front

    def _put(self, stream: str, number: int, text: str) -> None:
        copy = self._copies.get(stream)
        if copy is None:
            return
        if number > len(copy.events):  # something between was never kept: nobody may go on from it
            del self._copies[stream]
            return
        del copy.events[number:]  # by a deadline an answer ends earlier than it said
        copy.events.append(text)
        copy.n_bytes += len(text)
        copy.touched_at = self._clock()
        grown, copy.grown = copy.grown, asyncio.Event()
        grown.set()

    async def find(self, stream: str) -> dict[str, Any] | None:
        """The request, and what has been said so far."""
        if (copy := self._copies.get(stream)) is None:
            return None
        return {"request": copy.request, "events": list(copy.events), "ended": copy.is_ended}

    async def follow(self, stream: str, start: int) -> dict[str, Any] | None:
        """Events from a number on as soon as there are some, else none after FOLLOW_S.

        orphan: whoever wrote them is gone. None for an answer that is not known.
        """
        if (copy := self._copies.get(stream)) is None:
            return None
        copy.followed_at = self._clock()
        if len(copy.events) <= start and not self._is_orphan(copy):
            with suppress(TimeoutError):
                async with asyncio.timeout(FOLLOW_S):
                    await copy.grown.wait()
        copy.followed_at = self._clock()
        return {"events": copy.events[start:], "orphan": self._is_orphan(copy)}

    async def claim(self, stream: str, front: str) -> bool:
        """Become the owner of an answer whose front is gone. Only one of several who ask does."""
        self._seen_at[front] = self._clock()
        copy = self._copies.get(stream)
        if copy is None or not self._is_orphan(copy):
            return False
        copy.owner = front
        return True

    async def stop(self, stream: str) -> None:
        """Its owner is told with its next word."""
        if (copy := self._copies.get(stream)) is not None:
            copy.is_stopped = True

    async def leave(self, front: str) -> None:
        """A front that goes in order: who comes back for its answers need not wait."""
        self._seen_at.pop(front, None)

    def _is_orphan(self, copy: _Copy) -> bool:
        seen_at = self._seen_at.get(copy.owner, -FRONT_GONE_S)
        return not copy.is_ended and self._clock() - seen_at >= FRONT_GONE_S

    def _forget_old(self) -> None:
        now = self._clock()
        total = sum(copy.n_bytes for copy in self._copies.values())
        by_age = sorted(self._copies.items(), key=lambda it: it[1].touched_at)
        for name, copy in by_age:
            is_over = copy.is_ended or self._is_orphan(copy)
            if is_over and (now - copy.touched_at > KEEP_S or total > MOST_BYTES):
                total -= copy.n_bytes
                del self._copies[name]
