"""A Stream as a server-sent event response, with pings while nothing happens.

Knows no event types: it sends every entry as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse

from qwell.server import sse
from qwell.server.streams import Entry, Stream


async def with_pings(entries: AsyncIterator[Entry]) -> AsyncIterator[Entry | None]:
    """The entries, and None whenever sse.PING_EVERY_S passed without one."""
    pending: asyncio.Task[Entry | None] | None = None
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


async def _next(entries: AsyncIterator[Entry]) -> Entry | None:
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
