"""How late the event loop is: what every answer of the server waits for, whoever it is for.

Knows nothing of what keeps the loop busy.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

EVERY_S = 0.1


@asynccontextmanager
async def lag_observed(observe: Callable[[float], None]) -> AsyncIterator[None]:
    """While the block runs, tell every EVERY_S by how many seconds a timer was late."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def ring(due: float) -> None:
        nonlocal timer
        now = loop.time()
        observe(max(0.0, now - due))
        timer = loop.call_at(now + EVERY_S, ring, now + EVERY_S)

    first = loop.time() + EVERY_S
    timer = loop.call_at(first, ring, first)
    try:
        yield
    finally:
        timer.cancel()
