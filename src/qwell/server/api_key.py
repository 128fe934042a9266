"""Asks for the API key, when one is set, before anything that costs or shows something.

Programs send it as a bearer token. A browser opens /?key=... once and gets a cookie that
scripts cannot read and other sites cannot use. Comparison takes the same time for every key.
"""

from __future__ import annotations

import hashlib
import hmac
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from qwell.errors import QwellError
from qwell.server.problem import refuse

COOKIE = "qwell_key"
_GUARDED = ("/v1/", "/api/", "/ws/")


class ApiKey:
    """Without a key every key is accepted, as programs often must send one."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._key = key.encode()
        self._cookie = hmac.new(self._key, b"qwell cookie", hashlib.sha256).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._key or scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["path"] == "/" and (offered := _offered_in_query(scope)):
            if self._is_key(offered):
                await self._log_in(scope, receive, send)
            else:
                await refuse(scope, receive, send, _refused())
        elif scope["path"].startswith(_GUARDED) and not self._is_allowed(Headers(scope=scope)):
            await refuse(scope, receive, send, _refused())
        else:
            await self._app(scope, receive, send)

    def _is_allowed(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        offered = token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        return self._is_key(offered) or self._has_cookie(headers.get("cookie", ""))

    def _is_key(self, offered: str) -> bool:
        return hmac.compare_digest(offered.encode(errors="replace"), self._key)

    def _has_cookie(self, header: str) -> bool:
        try:
            morsel = SimpleCookie(header).get(COOKIE)
        except CookieError:
            return False
        return morsel is not None and hmac.compare_digest(
            morsel.value.encode(), self._cookie.encode()
        )

    async def _log_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = RedirectResponse("/", 303, headers={"Cache-Control": "no-store"})
        secure = scope.get("scheme") == "https"
        response.set_cookie(COOKIE, self._cookie, httponly=True, samesite="strict", secure=secure)
        await response(scope, receive, send)


def _offered_in_query(scope: Scope) -> str:
    text: str = scope["query_string"].decode("latin-1")
    query = parse_qs(text)
    return query.get("key", [""])[0]


def _refused() -> QwellError:
    return QwellError(
        "auth-missing",
        found="a request without the right API key",
        expected="the key given to `qwell serve --api-key` (or QWELL_API_KEY)",
        fix="send the header `Authorization: Bearer <key>`; in a browser open /?key=<key> once",
    )
