"""/v1: OpenAI's chat API, streamed and whole, over the same streams as the page.

Knows routes and disconnects; the JSON is made in openai_completion.py. A client that leaves
ends its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from qwell.core import Delta, Done, Failed, Prefill
from qwell.errors import QwellError
from qwell.server import sse
from qwell.server.event_stream import with_pings
from qwell.server.health import status_of
from qwell.server.openai_completion import Completion, failure, message_of
from qwell.server.openai_schemas import ChatCompletionIn
from qwell.server.problem import headers_of, openai_body, request_id_of
from qwell.server.problem import status_of as http_status_of
from qwell.server.streams import Stream, Streams

# An error within this time still gets its own status; later it becomes an event of the stream.
FIRST_SIGN_S = 5.0
# No resuming here: just the time between two readers of the same request.
LEAVE_S = 0.1

router = APIRouter(prefix="/v1", tags=["openai"])


@router.get("/models")
async def models(request: Request) -> dict[str, Any]:
    """The one model that is really served; an empty list while there is none."""
    name = status_of(request).model.get("name")
    return {"object": "list", "data": [_card(name)] if name else []}


@router.get("/models/{model:path}")
async def model_card(request: Request, model: str) -> dict[str, Any]:
    """The model, if it is the one that is served."""
    served = status_of(request).model
    check_model(model, served)
    return _card(served.get("name", model))


@router.post("/chat/completions", response_class=JSONResponse)
async def chat_completions(request: Request, body: ChatCompletionIn) -> Response:
    """A chat completion; with `stream` as server-sent events."""
    check_model(body.model, status_of(request).model)
    streams: Streams = request.app.state.streams
    stream = streams.open(body.to_core(request_id_of(request.scope)), grace_s=LEAVE_S)

    def completion() -> Completion:
        """Made when the answer begins: only then is it certain which model it is."""
        return Completion(
            stream.request.id,
            model=status_of(request).model.get("name", body.model),
            logprobs=bool(body.logprobs),
            include_usage=body.include_usage,
        )

    answer = _streamed(stream, completion) if body.stream else _whole(stream, completion)
    with stream.attached():
        return await _unless_disconnected(request, answer)


def check_model(asked: str, served: Mapping[str, Any]) -> None:
    """Raises QwellError ``model-name-unknown``. While nothing is loaded every name passes."""
    name = str(served.get("name", ""))
    aliases = {name.lower(), name.lower().rpartition("/")[2], "qwell"}
    if name and asked.lower() not in aliases:
        raise QwellError(
            "model-name-unknown",
            found=f"a request for model {asked!r}",
            expected=f"{name!r}, the model that is served",
            fix=f'send "model": "{name}"; GET /v1/models lists it',
        )


def _card(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "qwell"}


async def _whole(stream: Stream, completion: Callable[[], Completion]) -> Response:
    deltas: list[Delta] = []
    async for entry in stream.read():
        match entry.event:
            case Delta() as delta:
                deltas.append(delta)
            case Done() | Failed() as end:
                if failed := failure(end):
                    return _refusal(failed)
                assert isinstance(end, Done)
                return JSONResponse(completion().whole(deltas, end))
    raise AssertionError("a stream ended without a terminal event")


async def _streamed(stream: Stream, completion: Callable[[], Completion]) -> Response:
    """Headers wait for the first sign of the answer, so that early errors have their status."""
    if failed := await _early_failure(stream):
        return _refusal(failed)
    return StreamingResponse(
        _frames(stream, completion()), media_type=sse.MEDIA_TYPE, headers=dict(sse.HEADERS)
    )


async def _early_failure(stream: Stream) -> Failed | None:
    try:
        async with asyncio.timeout(FIRST_SIGN_S):
            async for entry in stream.read():
                if isinstance(entry.event, Failed):
                    return entry.event
                if isinstance(entry.event, Prefill | Delta | Done):
                    break
    except TimeoutError:
        return None  # it takes longer: the client must see a sign of life
    return None


async def _frames(stream: Stream, completion: Completion) -> AsyncIterator[bytes]:
    with stream.attached():
        yield sse.encode(completion.opening())
        async for entry in with_pings(stream.read()):
            if entry is None:
                yield sse.PING
                continue
            for chunk in completion.chunks(entry.event):
                yield sse.encode(chunk)
        yield sse.encode("[DONE]")


def _refusal(failed: Failed) -> JSONResponse:
    return JSONResponse(
        openai_body(failed.code, message_of(failed)),
        http_status_of(failed.code),
        headers=headers_of(failed.code),
    )


async def _unless_disconnected(request: Request, answer: Coroutine[Any, Any, Response]) -> Response:
    """The answer, or nobody's empty response as soon as the client has left."""
    answering = asyncio.create_task(answer)
    leaving = asyncio.create_task(_disconnect(request))
    try:
        await asyncio.wait([answering, leaving], return_when=asyncio.FIRST_COMPLETED)
        return answering.result() if answering.done() else Response(status_code=499)
    finally:
        answering.cancel()
        leaving.cancel()


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue
