"""How many connections there may be, and how long one may take to say what it wants.

Knows connections as the web server keeps them, not what is asked on them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qwell.errors import QwellError
from qwell.server.problem import problem, refuse

MAX_CONNECTIONS = 512  # more are refused: files must be left for the worker and the store
SILENCE_S = 20.0  # for the head of a request; afterwards body_limit.py counts
CROWDED_SILENCE_S = 1.0  # the same when others do not get in
COME_BACK_S = 5.0
# Who watches over the server must not take a crowd for a death.
_OPERATIONS = ("/health", "/ready", "/metrics")

Connections = Collection[Any]


class ConnectionLimit:
    """Explains to whoever comes on a connection too many why it is closed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_too_many(scope):
            await self._app(scope, receive, send)
            return

        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await refuse(scope, receive, send_last, _crowded())


def _is_too_many(scope: Scope) -> bool:
    if scope["type"] == "lifespan" or scope["path"].startswith(_OPERATIONS):
        return False
    connections: Connections = getattr(scope["app"].state, "connections", ())
    return len(connections) > MAX_CONNECTIONS


class Patience:
    """Closes connections that do not say what they want: they would keep everyone else out."""

    def __init__(self, connections: Connections, clock: Callable[[], float]) -> None:
        self._connections = connections
        self._clock = clock
        self._silent_since: dict[tuple[Any, Any], float] = {}  # by connection and last request

    def look(self) -> None:
        """To be called now and then."""
        now = self._clock()
        silent = [(one, one.cycle) for one in self._connections if _is_silent(one)]
        self._silent_since = {one: self._silent_since.get(one, now) for one in silent}
        is_crowded = len(self._connections) > MAX_CONNECTIONS
        allowed_s = CROWDED_SILENCE_S if is_crowded else SILENCE_S
        for (connection, _), since in self._silent_since.items():
            if now - since > allowed_s:
                connection.transport.write(_farewell(allowed_s))
                connection.transport.close()


def _is_silent(connection: Any) -> bool:
    """No request is being answered on it. A WebSocket has none either, and pings of its own."""
    if not hasattr(connection, "cycle"):
        return False
    return connection.cycle is None or bool(connection.cycle.response_complete)


def _farewell(silence_s: float) -> bytes:
    response = problem(_unsaid(silence_s))
    head = f"HTTP/1.1 {response.status_code} Request Timeout\r\nConnection: close\r\n"
    fields = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
    return f"{head}{fields}\r\n".encode("latin-1") + bytes(response.body)


def _crowded() -> QwellError:
    return QwellError(
        "too-many-connections",
        found=f"more than {MAX_CONNECTIONS} connections at once",
        expected=f"at most {MAX_CONNECTIONS}",
        fix=f"try again in {COME_BACK_S:g} s; close pages and programs that are not used, "
        "or put a proxy in front that shares connections",
        retry_after_s=COME_BACK_S,
    )


def _unsaid(silence_s: float) -> QwellError:
    return QwellError(
        "request-incomplete",
        found=f"a connection on which no whole request came for {silence_s:g} s",
        expected="a request line and headers, one after the other",
        fix="check the connection, and send the request again",
    )
