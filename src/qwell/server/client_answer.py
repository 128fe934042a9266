"""Answers for programs that speak somebody's API: whole or streamed, in that API's own form.

A client that leaves ends its answers. Knows no JSON: a Form writes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from fastapi import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from qwell.core import Done, Event, Failed
from qwell.core import Request as Asked
from qwell.server import sse
from qwell.server.answer import Answer, failure, is_first_sign
from qwell.server.choices import Choices
from qwell.server.streams import Stream, Streams

# An error within this time still gets its own status; later it becomes an event of the stream.
FIRST_SIGN_S = 5.0


class Document(Protocol):
    """How an API writes answers that have ended."""

    def whole(self, answers: Sequence[Answer]) -> dict[str, Any]:
        """The body when all came to their own end."""

    def refusal(self, failed: Failed) -> Response:
        """The response when one failed before anything was sent."""


class Form(Document, Protocol):
    """The same for answers that are streamed as well: frames are server-sent events."""

    def opening(self) -> list[bytes]:
        """Before the first event."""

    def frames(self, index: int, event: Event) -> list[bytes]:
        """What one event of answer number index becomes; never a failed one."""

    def closing(self, answers: Sequence[Answer]) -> list[bytes]:
        """After the last of them."""

    def broken(self, failed: Failed) -> list[bytes]:
        """Instead of the rest, when an answer fails."""


async def respond(
    request: Request,
    groups: Sequence[Sequence[Asked]],
    form: Callable[[], Form],
    *,
    stream: bool,
) -> Response:
    """The answers to groups of requests that share their prompt; see Choices.

    form is called when the first answer begins: only then is it certain which model it is.
    """
    if not stream:
        return await respond_whole(request, groups, form)
    choices = _opened(request, groups)
    with choices.attached():
        return await _unless_disconnected(request, _streamed(choices, form))


async def respond_whole(
    request: Request, groups: Sequence[Sequence[Asked]], form: Callable[[], Document]
) -> Response:
    """The same, never streamed."""
    choices = _opened(request, groups)
    with choices.attached():
        return await _unless_disconnected(request, _whole(choices, form))


def _opened(request: Request, groups: Sequence[Sequence[Asked]]) -> Choices:
    streams: Streams = request.app.state.streams
    return Choices(streams, groups)


async def _whole(choices: Choices, form: Callable[[], Document]) -> Response:
    answers = [Answer() for _ in range(choices.n)]
    async with aclosing(choices.read()) as events:
        async for index, event in events:
            if isinstance(event, Done | Failed) and (failed := failure(event)):
                return form().refusal(failed)
            answers[index].take(event)
    return JSONResponse(form().whole(answers))


async def _streamed(choices: Choices, form: Callable[[], Form]) -> Response:
    """Headers wait for the first sign of the answer, so that early errors have their status."""
    if failed := await _early_failure(choices.leaders[0]):
        return form().refusal(failed)
    return StreamingResponse(
        _frames(choices, form()), media_type=sse.MEDIA_TYPE, headers=dict(sse.HEADERS)
    )


async def _early_failure(stream: Stream) -> Failed | None:
    try:
        async with asyncio.timeout(FIRST_SIGN_S):
            async for entry in stream.read():
                if isinstance(entry.event, Failed):
                    return entry.event
                if is_first_sign(entry.event):
                    break
    except TimeoutError:
        return None  # it takes longer: the client must see a sign of life
    return None


async def _frames(choices: Choices, form: Form) -> AsyncGenerator[bytes]:
    answers = [Answer() for _ in range(choices.n)]
    async with aclosing(choices.batches(sse.PING_EVERY_S)) as batches:
        with choices.attached():
            yield b"".join(form.opening())
            async for batch in batches:
                frames: list[bytes] = [] if batch else [sse.PING]
                for index, event in batch:
                    if isinstance(event, Done | Failed) and (failed := failure(event)):
                        yield b"".join([*frames, *form.broken(failed)])
                        return
                    answers[index].take(event)
                    frames += form.frames(index, event)
                if frames:
                    yield b"".join(frames)
            yield b"".join(form.closing(answers))


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
