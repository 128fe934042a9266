"""Refuses request bodies that are too large or compressed, before they fill the memory."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qwell.errors import QwellError
from qwell.server.problem import refuse


class BodyLimit:
    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

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
        counted = 0

        async def receive_counted() -> Message:
            nonlocal counted
            message = await receive()
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


def _encoded(encoding: str) -> QwellError:
    return QwellError(
        "body-encoded",
        found=f"a request body with Content-Encoding {encoding[:40]!r}",
        expected="a body that is sent as it is: a small one could unpack to any size",
        fix="send it without compression",
    )
