"""Refuses request bodies that are too large, compressed or endlessly slow.

Before they fill the memory, or keep a connection for ever.
"""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qwell.errors import QwellError
from qwell.server.problem import refuse

MAX_PAUSE_S = 30.0  # between two pieces of a body


class BodyLimit:
    def __init__(self, app: ASGIApp, max_bytes: int, pause_s: float = MAX_PAUSE_S) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._pause_s = pause_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Bodies without a declared length are counted as they arrive."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        encoding = headers.get("content-encoding", "identity")
        if encoding.strip().lower() != "identity":
            await refuse(scope, receive, send, _encoded(encoding))
            return
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > self._max_bytes:
            await refuse(scope, receive, send, self._too_large(f"{declared} bytes"))
            return
        counted, is_whole = 0, False

        async def receive_counted() -> Message:
            nonlocal counted, is_whole
            message = await (receive() if is_whole else _soon(receive, self._pause_s))
            is_whole = not message.get("more_body", False)
            counted += len(message.get("body", b""))
            if counted > self._max_bytes:
                cause = self._too_large(f"more than {self._max_bytes} bytes")
                raise HTTPException(413) from cause  # the framework lets only this type through
            return message

        await self._app(scope, receive_counted, send)

    def _too_large(self, found: str) -> QwellError:
        return QwellError(
            "body-too-large",
            found=f"a request body of {found}",
            expected=f"at most {self._max_bytes} bytes",
            fix="send fewer or shorter messages, or raise qwell serve --max-body-mib",
        )


async def _soon(receive: Receive, pause_s: float) -> Message:
    try:
        async with asyncio.timeout(pause_s):
            return await receive()
    except TimeoutError:
        raise HTTPException(408) from QwellError(
            "body-incomplete",
            found=f"a request body that stopped coming for {pause_s:g} s",
            expected="the whole body, as long as Content-Length says",
            fix="check the connection, and send the request again",
        )


def _encoded(encoding: str) -> QwellError:
    return QwellError(
        "body-encoded",
        found=f"a request body with Content-Encoding {encoding[:40]!r}",
        expected="a body that is sent as it is: a small one could unpack to any size",
        fix="send it without compression",
    )
