"""A Stream as a server-sent event response, with pings while nothing happens.

Knows no event types: it sends every entry as it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from starlette.responses import StreamingResponse

from qwell.server import sse
from qwell.server.streams import Stream


async def frames(stream: Stream, start: int) -> AsyncIterator[bytes]:
    """SSE bytes from event number start to the terminal event."""
    with stream.attached():
        async with aclosing(stream.batches(start, sse.PING_EVERY_S)) as batches:
            async for batch in batches:
                yield b"".join(sse.encode(e.json, e.seq) for e in batch) or sse.PING


def event_stream(stream: Stream, start: int = 0) -> StreamingResponse:
    return StreamingResponse(
        frames(stream, start), media_type=sse.MEDIA_TYPE, headers=dict(sse.HEADERS)
    )
