"""What cannot be read as HTTP or as a handshake is refused like everything else: with a document.

Such bytes never become a request that middleware could see. So what it does for others is done
here: an id, a log line, a count, and the shape and language of the caller as far as they can be
told. Knows the two libraries that read bytes.
"""

from __future__ import annotations

import logging
import re
import secrets
import sys
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import h11
from starlette.datastructures import Headers
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers as HandshakeHeaders
from websockets.http11 import Response as HandshakeResponse
from websockets.server import ServerProtocol

from qwell.errors import QwellError
from qwell.server import caller
from qwell.server.problem import refusal, request_id_of
from qwell.server.security_headers import HEADERS
from qwell.translate import preferred

LINGER_S = 2.0  # who is still sending would lose the answer if the connection were cut at once
MAX_HEAD_BYTES = 32 * 2**10
_PATH = re.compile(rb"[A-Z]{1,16} (/[^ ?\r\n]{0,300})")
_ACCEPTED = re.compile(rb"(?im)^accept-language:([^\r\n]{0,200})")
_REJECTED = "Failed to open a WebSocket connection: "  # how the library begins to say why
_TLS = b"\x16\x03"  # how a connection with TLS begins

log = logging.getLogger("qwell.server.request")


@dataclass(frozen=True, slots=True)
class Asker:
    """As much as can be told of who sent it."""

    path: str = ""
    accepted: str = ""
    request_id: str = ""

    @classmethod
    def of(cls, data: bytes) -> Asker:
        """From the bytes that came last: mostly the whole of it."""
        path, accepted = _PATH.match(data), _ACCEPTED.search(data)
        return cls(
            path[1].decode("latin-1") if path else "",
            accepted[1].decode("latin-1") if accepted else "",
        )

    def refusal(self, error: QwellError, status: int) -> Response:
        request_id = self.request_id or secrets.token_hex(8)
        token = caller.language.set(preferred(self.accepted))
        try:
            response = refusal(self.path, error, request_id=request_id, status=status)
        finally:
            caller.language.reset(token)
        response.status_code = status
        own = {"X-Request-ID": request_id, "Connection": "close"}
        response.headers.update(HEADERS | own)
        facts = {"request_id": request_id, "status": status, "found": error.found}
        log.info("unreadable request", extra=facts)
        return response


class ExplainingProtocol(H11Protocol):
    """One connection; after a refusal on it nothing more is read as a request."""

    _latest = b""
    _is_over = False

    def data_received(self, data: bytes) -> None:
        if not self._is_over:
            self._latest = data
            super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Called while the reason is being handled. msg: the base class's word for all of them."""
        wrong = sys.exception()
        status = getattr(wrong, "error_status_hint", 400)
        self._is_over = True
        if self._is_answering and self.cycle.response_started:
            self.transport.close()  # the answer is cut, which is all that can still be told
            return
        error = _unreadable(str(wrong or msg), self._latest, status)
        self._count(status)
        self._send_last(self._asker().refusal(error, status))

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _asker(self) -> Asker:
        if not self._is_answering:
            return Asker.of(self._latest)
        scope: Any = self.cycle.scope
        accepted = Headers(scope=scope).get("accept-language", "")
        return Asker(scope["path"], accepted, request_id_of(scope))

    def _send_last(self, response: Response) -> None:
        head = h11.Response(
            status_code=response.status_code,
            headers=[*self.server_state.default_headers, *response.raw_headers],
            reason=STATUS_PHRASES.get(response.status_code, b""),
        )
        for event in (head, h11.Data(data=bytes(response.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        if self._is_answering:
            self.cycle.disconnected = True  # whoever waits for the rest of the body
            self.cycle.message_event.set()
        self.flow.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)

    def _count(self, status: int) -> None:
        app: Any = self.config.app
        app.state.metrics.requests.add("other", "none", str(status))


class _Handshake(ServerProtocol):
    """Says in a document what is wrong with a handshake."""

    def reject(self, status: HTTPStatus | int, text: str) -> HandshakeResponse:
        if not text.startswith(_REJECTED):
            return super().reject(status, text)
        error = _no_handshake(text.removeprefix(_REJECTED).partition("\n")[0])
        refused = Asker().refusal(error, int(status))
        headers = HandshakeHeaders((name, value) for name, value in refused.headers.items())
        phrase = HTTPStatus(status).phrase
        return HandshakeResponse(int(status), phrase, headers, bytes(refused.body))


class ExplainingSocketProtocol(WebSocketsSansIOProtocol):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = _Handshake(max_size=self.config.ws_max_size, logger=self.logger)


def _unreadable(why: str, data: bytes, status: int) -> QwellError:
    if data.startswith(_TLS):
        return QwellError(
            "request-unreadable",
            found="the beginning of an encrypted connection (TLS)",
            expected="plain HTTP on this port",
            fix="use http:// instead of https://, or put a proxy with a certificate in front",
        )
    if status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
        return QwellError(
            "request-unreadable",
            found="a request line and headers that are too long",
            expected=f"at most {MAX_HEAD_BYTES} bytes of them",
            fix="send shorter headers; cookies of other programs at this address count, too",
        )
    return QwellError(
        "request-unreadable",
        found=f"what is no HTTP request: {why[:200]}",
        expected="HTTP/1.1: a request line, headers, and a body as long as they say",
        fix="correct the program that sends it, or the proxy on its way",
    )


def _no_handshake(why: str) -> QwellError:
    return QwellError(
        "request-unreadable",
        found=f"what is no WebSocket handshake: {why[:200]}",
        expected="the handshake of RFC 6455, version 13",
        fix="use a WebSocket library, and let a proxy pass the headers Upgrade and Connection on",
    )
