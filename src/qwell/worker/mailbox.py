"""Events on their way to one consumer: a slow one gets bigger pieces, never a longer queue.

Knows nothing of where events come from.
"""

from __future__ import annotations

import asyncio
from collections import deque

from qwell.core import Delta, Event, is_terminal
from qwell.worker.merge import merged


class Mailbox:
    """Unread neighbours of a kind are merged, pieces of text only where more than room are unread.

    So its length is bounded by room and the kinds in a row, and a reader that keeps up gets the
    pieces as the worker sent them. After a terminal event everything put is ignored: there is
    exactly one.
    """

    def __init__(self, room: int = 64) -> None:
        self._room = room
        self.closed = False
        self._events: deque[Event] = deque()
        self._filled = asyncio.Event()

    def put(self, event: Event) -> None:
        if self.closed:
            return
        self.closed = is_terminal(event)
        is_roomy = isinstance(event, Delta) and len(self._events) < self._room
        both = merged(self._events[-1], event) if self._events and not is_roomy else None
        if both is not None:
            self._events[-1] = both
        else:
            self._events.append(event)
        self._filled.set()

    async def get(self) -> Event:
        """The oldest unread event; waits for one."""
        await self._filled.wait()
        event = self._events.popleft()
        if not self._events:
            self._filled.clear()
        return event
