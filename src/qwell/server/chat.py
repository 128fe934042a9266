"""The page's own chat API: POST /api/chat (SSE), POST and GET /api/streams (long-poll), DELETE.

Thin readers of streams.py. Knows no model, no tokens and no text beyond what it passes on.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from qwell.errors import QwellError
from qwell.server import caller, sse
from qwell.server.event_stream import event_stream
from qwell.server.problem import request_id_of
from qwell.server.recording import find_answer, open_answer
from qwell.server.schemas import ChatIn
from qwell.server.streams import Entry, Stream, Streams

RESUME_GRACE_S = 10.0  # a reader that drops may come back this long before the answer is stopped
LONG_POLL_S = 20.0  # below the 30 s after which the strictest proxies cut a silent response

router = APIRouter(prefix="/api", tags=["chat"])


def streams_of(request: Request) -> Streams:
    streams: Streams = request.app.state.streams
    return streams


async def _open(request: Request, body: ChatIn) -> Stream:
    caller.speak(body.lang)
    return await open_answer(
        streams_of(request),
        request.app.state.keeper,
        body,
        request_id=request_id_of(request.scope),
        grace_s=RESUME_GRACE_S,
        offers=request.app.state.settings.offer_diagnosis == "on",
    )


async def _find(request: Request, stream_id: str) -> Stream:
    keeper = request.app.state.keeper
    stream = await find_answer(streams_of(request), keeper, stream_id, grace_s=RESUME_GRACE_S)
    if stream is None:
        raise unknown_stream(stream_id)
    return stream


def unknown_stream(stream_id: str) -> QwellError:
    return QwellError(
        "stream-unknown",
        found=f"no answer with stream id {stream_id[:64]!r}",
        expected="the id of an answer that runs or ended some minutes ago",
        fix="send the message again",
    )


@router.post("/chat", response_class=StreamingResponse)
async def chat(request: Request, body: ChatIn) -> Response:
    """Answer as server-sent events, each `data:` one JSON event with a number `seq`.

    After a dropped connection, follow the same answer with GET /api/streams/{stream}.
    """
    return event_stream(await _open(request, body))


@router.post("/streams", status_code=202)
async def start(request: Request, body: ChatIn) -> dict[str, str]:
    """Start an answer without following it: for long-polling where nothing can be streamed."""
    stream = await _open(request, body)
    with stream.attached():  # whoever never polls does not keep the worker busy
        await stream.wait(0, LONG_POLL_S)  # from then on it is found wherever the next poll goes
        return {"stream": stream.id, "request_id": stream.request.id}


@router.get("/streams/{stream_id}")
async def follow(
    request: Request,
    stream_id: str,
    start: Annotated[int, Query(alias="from", ge=0)] = 0,
    accept: Annotated[str, Header()] = "",
    last_event_id: Annotated[int | None, Header(ge=0)] = None,
) -> Response:
    """Events from number `from` on: long-poll JSON, or SSE when asked for by Accept."""
    stream = await _find(request, stream_id)
    if sse.MEDIA_TYPE in accept:
        return event_stream(stream, start if last_event_id is None else last_event_id + 1)
    with stream.attached():
        entries = await stream.wait(start, LONG_POLL_S)
    return JSONResponse(_page(stream, entries, start), headers={"Cache-Control": "no-store"})


def _page(stream: Stream, entries: list[Entry], start: int) -> dict[str, Any]:
    return {
        "stream": stream.id,
        "events": [entry.to_dict() for entry in entries],
        "next": entries[-1].seq + 1 if entries else start,
        "ended": stream.ended,
    }


@router.delete("/streams/{stream_id}", status_code=202)
async def stop(request: Request, stream_id: str) -> dict[str, str]:
    """Stop an answer. Its log ends with `done`, reason `cancelled`; stopping twice is no error."""
    stream = await _find(request, stream_id)
    await stream.stop()
    return {"stream": stream.id}
