"""Answers for programs that speak somebody's API: whole or streamed, in that API's own form.

A client that leaves ends its answers. Knows no JSON: a Form writes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, Protocol

from fastapi import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from qwell.core import Done, Event, Failed
from qwell.core import Request as Asked
from qwell.errors import QwellError
from qwell.server import sse
from qwell.server.answer import Answer, failed_with, failure, is_first_sign
from qwell.server.choices import Choices
from qwell.server.model_name import check_model
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
    model: str,
    stream: bool,
) -> Response:
    """The answers to groups of requests that share their prompt; see Choices.

    model: the name that was asked for. form is called when the first answer begins: only then is
    it certain which model it is. Raises QwellError ``model-name-unknown`` for another one.
    """
    if not stream:
        return await respond_whole(request, groups, form, model=model)
    choices = _opened(request, groups)
    check = partial(check_model, request, model)
    with choices.attached():
        return await _unless_disconnected(request, _streamed(choices, form, check))


async def respond_whole(
    request: Request,
    groups: Sequence[Sequence[Asked]],
    form: Callable[[], Document],
    *,
    model: str | None = None,
) -> Response:
    """The same, never streamed. model: None where any will do."""
    choices = _opened(request, groups)
    check = partial(check_model, request, model) if model is not None else _any
    with choices.attached():
        return await _unless_disconnected(request, _whole(choices, form, check))


def _any() -> None:
    """Every model will do."""


def _opened(request: Request, groups: Sequence[Sequence[Asked]]) -> Choices:
    streams: Streams = request.app.state.streams
    return Choices(streams, groups)


async def _whole(
    choices: Choices, form: Callable[[], Document], check: Callable[[], None]
) -> Response:
    answers = [Answer() for _ in range(choices.n)]
    is_checked = False
    async with aclosing(choices.read()) as events:
        async for index, event in events:
            if isinstance(event, Done | Failed) and (failed := failure(event)):
                return form().refusal(failed)
            if not is_checked and is_first_sign(event):
                check()
                is_checked = True
            answers[index].take(event)
    return JSONResponse(form().whole(answers))


async def _streamed(
    choices: Choices, form: Callable[[], Form], check: Callable[[], None]
) -> Response:
    """Headers wait for the first sign of the answer, so that early errors have their status."""
    first = await _first_sign(choices.leaders[0])
    if isinstance(first, Failed):
        return form().refusal(first)
    if first is not None:
        check()
        check = _any
    return StreamingResponse(
        _frames(choices, form(), check), media_type=sse.MEDIA_TYPE, headers=dict(sse.HEADERS)
    )


async def _first_sign(stream: Stream) -> Event | None:
    """What the answer begins with, or None when that takes longer: the client must see life."""
    with suppress(TimeoutError):
        async with asyncio.timeout(FIRST_SIGN_S):
            async for entry in stream.read():
                if isinstance(entry.event, Failed) or is_first_sign(entry.event):
                    return entry.event
    return None


async def _frames(choices: Choices, form: Form, check: Callable[[], None]) -> AsyncGenerator[bytes]:
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
                    if check is not _any and is_first_sign(event):
                        if wrong := _raised(check):
                            yield b"".join([*frames, *form.broken(wrong)])
                            return
                        check = _any
                    answers[index].take(event)
                    frames += form.frames(index, event)
                if frames:
                    yield b"".join(frames)
            yield b"".join(form.closing(answers))


def _raised(check: Callable[[], None]) -> Failed | None:
    """The refusal of a check as the end of an answer: it is too late for a status of its own."""
    try:
        check()
    except QwellError as error:
        return failed_with(error)
    return None


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
