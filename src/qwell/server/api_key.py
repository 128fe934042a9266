"""Asks for an API key, where keys are set, before anything that costs or shows something.

Programs send it as a bearer token. A browser opens /?key=... once and gets a cookie that
scripts cannot read and other sites cannot use. Which key was sent decides nothing about how long
the comparison takes.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from qwell.errors import QwellError
from qwell.server import caller
from qwell.server.key_ring import Key, KeyRing
from qwell.server.problem import refuse

COOKIE = "qwell_key"
_GUARDED = ("/v1/", "/api/", "/ws/", "/metrics", "/tokenize", "/detokenize")


class ApiKey:
    """Without keys every key is accepted, as programs often must send one.

    Everything below knows the caller: his address, and the name of his key.
    """

    def __init__(self, app: ASGIApp, ring: KeyRing) -> None:
        self._app = app
        self._ring = ring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        keys = self._ring.keys()
        known = _sent(Headers(scope=scope), keys)
        if self._ring.is_open:
            await self._pass(scope, receive, send, None)
        elif scope["path"] == "/" and (offered := _offered_in_query(scope)):
            await _log_in(scope, receive, send, matching(offered, keys))
        elif known is None and scope["path"].startswith(_GUARDED):
            await refuse(scope, receive, send, _refused())
        else:
            await self._pass(scope, receive, send, known)

    async def _pass(self, scope: Scope, receive: Receive, send: Send, key: Key | None) -> None:
        address = (scope.get("client") or ("",))[0]
        token = caller.current.set(caller.Caller(address, key.name if key else ""))
        try:
            await self._app(scope, receive, send)
        finally:
            caller.current.reset(token)


def matching(offered: str, keys: tuple[Key, ...]) -> Key | None:
    """The key that this is. Every key is compared, each in constant time."""
    matches = [key for key in keys if key.is_same(offered)]
    return matches[0] if matches else None


def _sent(headers: Headers, keys: tuple[Key, ...]) -> Key | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    offered = token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
    return matching(offered, keys) or _in_cookie(headers.get("cookie", ""), keys)


def _in_cookie(header: str, keys: tuple[Key, ...]) -> Key | None:
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return None
    matches = [key for key in keys if morsel is not None and key.is_cookie(morsel.value)]
    return matches[0] if matches else None


def _offered_in_query(scope: Scope) -> str:
    text: str = scope["query_string"].decode("latin-1")
    query = parse_qs(text)
    return query.get("key", [""])[0]


async def _log_in(scope: Scope, receive: Receive, send: Send, key: Key | None) -> None:
    if key is None:
        await refuse(scope, receive, send, _refused())
        return
    response = RedirectResponse("/", 303, headers={"Cache-Control": "no-store"})
    secure = scope.get("scheme") == "https"
    response.set_cookie(COOKIE, key.cookie, httponly=True, samesite="strict", secure=secure)
    await response(scope, receive, send)


def _refused() -> QwellError:
    return QwellError(
        "auth-missing",
        found="a request without the right API key",
        expected="a key given to `qwell serve --api-key` (QWELL_API_KEY) or in its --api-key-file",
        fix="send the header `Authorization: Bearer <key>`; in a browser open /?key=<key> once",
    )
