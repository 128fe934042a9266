"""Gives every request an id and a language, logs how it went, and answers a crash of ours with 500.

Logs method, path and times; never a query, a header, a body or a prompt.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qwell.errors import QwellError
from qwell.log import request_id as current_request_id
from qwell.server import caller
from qwell.server.metrics import Metrics
from qwell.server.problem import refuse
from qwell.translate import preferred

log = logging.getLogger("qwell.server.request")
_MAX_PATH = 300
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WS"})
_SANE_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)


class RequestLog:
    """Outermost of the middleware, so that its time is the client's time.

    The id is always ours, hence unique; one sent by a proxy is logged beside it.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        token = current_request_id.set(request_id)
        accepted = Headers(scope=scope).get("accept-language", "")
        spoken = caller.language.set(preferred(accepted))
        try:
            exchange = _Exchange(scope, send, request_id)
            await exchange.run(self._app, receive)
        finally:
            exchange.count(self._metrics)
            caller.language.reset(spoken)
            current_request_id.reset(token)


class _Exchange:
    """One request on its way: what was answered, and when."""

    def __init__(self, scope: Scope, send: Send, request_id: str) -> None:
        self._scope = scope
        self._send = send
        self._request_id = request_id
        self._started_at = time.monotonic()
        self._first_byte_ms: float | None = None
        self._status = 0
        self._n_bytes = 0

    async def run(self, app: ASGIApp, receive: Receive) -> None:
        log.debug("request", extra=self._facts())
        try:
            await app(self._scope, receive, self._watch)
        except Exception:
            log.exception("request crashed", extra=self._facts())
            if self._status:
                raise  # too late for another answer: the server cuts the connection
            await refuse(self._scope, receive, self._watch, _internal_error())
        finally:
            self._report()

    def count(self, metrics: Metrics) -> None:
        """By the pattern of the route: what a client made up must not become a label."""
        route = getattr(self._scope.get("route"), "path", "none")
        method = self._scope.get("method", "WS")
        method = method if method in _METHODS else "other"
        metrics.requests.add(method, route, str(self._status or 499))
        if self._scope["type"] == "http":
            metrics.request_s.observe(time.monotonic() - self._started_at, route)

    async def _watch(self, message: Message) -> None:
        kind = message["type"]
        if kind in ("http.response.start", "websocket.http.response.start"):
            self._status = message["status"]
            MutableHeaders(scope=message)["X-Request-ID"] = self._request_id
        elif kind == "websocket.accept":
            self._status = 101
        elif kind == "http.response.body":
            self._n_bytes += len(message.get("body", b""))
        if self._first_byte_ms is None:
            self._first_byte_ms = self._elapsed_ms()
        await self._send(message)

    def _report(self) -> None:
        facts = self._facts() | {
            "status": self._status or 499,  # the client went away before an answer
            "first_byte_ms": self._first_byte_ms,
            "duration_ms": self._elapsed_ms(),
            "bytes": self._n_bytes,
        }
        log.log(logging.DEBUG if self._is_pulse() else logging.INFO, "response", extra=facts)

    def _is_pulse(self) -> bool:
        """An open page asks every few seconds whether the server lives; that fills no log."""
        asked = self._scope.get("method", "WS"), self._scope["path"], self._status
        return asked == ("HEAD", "/health", 200)

    def _facts(self) -> dict[str, Any]:
        facts = {
            "method": self._scope.get("method", "WS"),
            "path": self._scope["path"][:_MAX_PATH],
            "client": (self._scope.get("client") or ("",))[0],
        }
        theirs = Headers(scope=self._scope).get("x-request-id", "")
        if _SANE_ID.fullmatch(theirs):
            facts["client_request_id"] = theirs
        return facts

    def _elapsed_ms(self) -> float:
        return round(1e3 * (time.monotonic() - self._started_at), 1)


def _internal_error() -> QwellError:
    return QwellError(
        "internal-error",
        found="a bug in the server stopped this request",
        expected="an answer",
        fix="look for the request id in the log of `qwell serve` and report what stands there",
    )
