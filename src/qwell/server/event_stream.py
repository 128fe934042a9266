"""A Stream as a server-sent event response, with pings while nothing happens.

Knows no event types: it sends every entry as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

from starlette.responses import StreamingResponse

from qwell.server import sse
from qwell.server.streams import Stream

T = TypeVar("T")


async def with_pings(entries: AsyncIterator[T]) -> AsyncGenerator[T | None]:
    """The entries, and None whenever sse.PING_EVERY_S passed without one."""
    pending: asyncio.Task[T | None] | None = None
    try:
        while True:
            pending = pending or asyncio.create_task(_next(entries))
            done, _ = await asyncio.wait([pending], timeout=sse.PING_EVERY_S)
            if not done:
                yield None
                continue
            entry, pending = pending.result(), None
            if entry is None:
                return
            yield entry
    finally:
        if pending is not None:
            pending.cancel()
            await asyncio.wait([pending])  # its generator can be closed only when it is left


async def _next(entries: AsyncIterator[T]) -> T | None:
    return await anext(entries, None)


async def frames(stream: Stream, start: int) -> AsyncIterator[bytes]:
    """SSE bytes from event number start to the terminal event."""
    with stream.attached():
        async for entry in with_pings(stream.read(start)):
            yield sse.PING if entry is None else sse.encode(entry.json, entry.seq)


def event_stream(stream: Stream, start: int = 0) -> StreamingResponse:
    return StreamingResponse(
        frames(stream, start), media_type=sse.MEDIA_TYPE, headers=dict(sse.HEADERS)
    )
