"""/ws/chat: one WebSocket, any number of answers one after another.

The client sends {"op": "chat", ...body of /api/chat}, {"op": "stop"}, {"op": "resume", "stream",
"from"} or {"op": "ping"}; the server sends events as text frames, and {"type": "ping"} when
nothing else was to say for some seconds, so that a silent line is a broken line.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, suppress
from typing import Any

from fastapi import APIRouter, WebSocket
from pydantic import TypeAdapter, ValidationError
from starlette.websockets import WebSocketDisconnect

from qwell.core import Failed, event_to_dict
from qwell.errors import QwellError
from qwell.server import caller, sse
from qwell.server.chat import RESUME_GRACE_S, unknown_stream
from qwell.server.problem import patience_s, request_id_of, worded
from qwell.server.recording import find_answer, open_answer
from qwell.server.schemas import (
    ChatFrame,
    PingFrame,
    ResumeFrame,
    SocketFrame,
    StopFrame,
    from_validation,
)
from qwell.server.streams import Stream, Streams
from qwell.store import StoreKeeper

COME_BACK = 1012  # the close code for a client that should connect again
router = APIRouter()
_FRAMES: TypeAdapter[SocketFrame] = TypeAdapter(SocketFrame)


@router.websocket("/ws/chat")
async def chat_socket(socket: WebSocket) -> None:
    await socket.accept()
    state = socket.app.state
    conversation = _Conversation(socket, state.streams, state.keeper)
    try:
        while (message := await socket.receive())["type"] == "websocket.receive":
            await conversation.take(message.get("text") or message.get("bytes") or b"")
    finally:
        conversation.leave()


class _Conversation:
    """One connection: at most one answer is followed at a time."""

    def __init__(self, socket: WebSocket, streams: Streams, keeper: StoreKeeper) -> None:
        self._socket = socket
        self._streams = streams
        self._keeper = keeper
        self._n_requests = 0
        self._stream: Stream | None = None
        self._follower: asyncio.Task[None] | None = None

    async def take(self, text: str | bytes) -> None:
        """Act on one frame of the client; a bad one is answered by an error event."""
        try:
            await self._act(_FRAMES.validate_json(text))
        except ValidationError as error:
            await self._refuse(from_validation(error))
        except QwellError as error:
            await self._refuse(error)

    def leave(self) -> None:
        if self._follower is not None:
            self._follower.cancel()

    async def _act(self, frame: SocketFrame) -> None:
        match frame:
            case ChatFrame():
                caller.speak(frame.lang)
                self._check_idle()
                stream = await open_answer(
                    self._streams,
                    self._keeper,
                    frame,
                    request_id=self._next_request_id(),
                    grace_s=RESUME_GRACE_S,
                    offers=self._socket.app.state.settings.offer_diagnosis == "on",
                )
                self._follow(stream, 0)
            case ResumeFrame():
                self._check_idle()
                self._follow(await self._find(frame.stream), frame.start)
            case StopFrame():
                if self._stream is not None:
                    await self._stream.stop()
            case PingFrame():
                await self._socket.send_text('{"type": "pong"}')

    def _next_request_id(self) -> str:
        self._n_requests += 1
        return f"{request_id_of(self._socket.scope)}-{self._n_requests}"

    async def _find(self, stream_id: str) -> Stream:
        stream = await find_answer(self._streams, self._keeper, stream_id, grace_s=RESUME_GRACE_S)
        if stream is None:
            raise unknown_stream(stream_id)
        return stream

    def _check_idle(self) -> None:
        if self._follower is not None and not self._follower.done():
            raise QwellError(
                "invalid-request-body",
                found="a new message while an answer is running on this connection",
                expected="one answer at a time per connection",
                fix='wait for done or error, send {"op": "stop"}, or open a second connection',
            )

    def _follow(self, stream: Stream, start: int) -> None:
        self._stream = stream
        self._follower = asyncio.create_task(self._send_events(stream, start))

    async def _send_events(self, stream: Stream, start: int) -> None:
        with stream.attached(), suppress(WebSocketDisconnect):  # the client may come back
            async with aclosing(stream.batches(start, sse.PING_EVERY_S)) as batches:
                async for batch in batches:
                    for text in [entry.json for entry in batch] or ['{"type": "ping"}']:
                        await self._socket.send_text(text)
            if stream.has_moved:
                await self._socket.close(COME_BACK)

    async def _refuse(self, error: QwellError) -> None:
        event = Failed(
            code=error.fault,
            cause=error.found,
            fix=error.fix,
            request_id=request_id_of(self._socket.scope),
            retry_after_s=patience_s(error.fault, error.retry_after_s),
        )
        body: dict[str, Any] = {"seq": 0, **event_to_dict(worded(event))}
        await self._socket.send_text(json.dumps(body, ensure_ascii=False))
