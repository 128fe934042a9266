"""What the way to the server is measured with: a stream at a fixed pace, and a room for bodies.

Knows no model: what is slow here is the way.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import StreamingResponse

from qwell.server import sse

router = APIRouter(prefix="/api/selftest", tags=["doctor"])


@router.get("/stream", response_class=StreamingResponse)
async def stream(
    n: Annotated[int, Query(ge=1, le=100)] = 10,
    every_ms: Annotated[int, Query(ge=10, le=60_000)] = 100,
    pad: Annotated[int, Query(ge=0, le=65_536)] = 0,
) -> StreamingResponse:
    """Server-sent events, numbered from 0, one every `every_ms`; `pad` bytes make them larger.

    Whoever gets them in one piece at the end has something between that collects them.
    """
    return StreamingResponse(
        _frames(n, every_ms / 1e3, pad), media_type=sse.MEDIA_TYPE, headers=dict(sse.HEADERS)
    )


async def _frames(n: int, every_s: float, pad: int) -> AsyncIterator[bytes]:
    """Each at its own time since the start: delays do not add up."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    for seq in range(n):
        await asyncio.sleep(max(0.0, started + seq * every_s - loop.time()))
        at_ms = round(1e3 * (loop.time() - started), 1)
        yield sse.encode(json.dumps({"seq": seq, "at_ms": at_ms, "pad": "." * pad}), seq)


@router.post("/body")
async def body(request: Request) -> dict[str, int]:
    """How many bytes of the request's body arrived."""
    n = 0
    async for part in request.stream():
        n += len(part)
    return {"bytes": n}
