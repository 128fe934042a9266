"""Which web pages may talk to the server: its own, and those on the allow-list.

A browser names the page's origin; programs name none and are let through. Everything sent by a
page of another origin is refused with the setting that would allow it, WebSockets included,
for which browsers ask no permission by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from qwell.errors import QwellError
from qwell.server.problem import refuse


def checked(origins: Iterable[str]) -> list[str]:
    """The same; raises QwellError ``config-invalid`` for what no browser ever names as origin."""
    for origin in origins:
        parts = urlsplit(origin.rstrip("/"))
        if origin != "*" and not (parts.scheme and parts.netloc and not parts.path):
            raise QwellError(
                "config-invalid",
                found=f"cors_origin = {origin}",
                expected="scheme, host and port, such as https://chat.example.com, or *",
                fix="qwell serve --cors-origin https://chat.example.com",
            )
    return list(origins)


class OriginCheck:
    """Refuses foreign origins; answers preflights and adds CORS headers for allowed ones."""

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        self._app = app
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)
        self._cors = CORSMiddleware(
            app,
            allow_origins=sorted(self._origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["*"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {} if scope["type"] == "lifespan" else Headers(scope=scope)
        origin = headers.get("origin", "")
        if not origin or _is_own(origin, headers.get("host", "")) or _is_part_of_page(scope):
            await self._app(scope, receive, send)
        elif "*" in self._origins or origin.lower() in self._origins:
            await self._cors(scope, receive, send)
        else:
            await refuse(scope, receive, send, _refused(origin))


def _is_part_of_page(scope: Scope) -> bool:
    """Scripts and styles, for which browsers name the page's origin, too.

    They hold nothing private, and browsers show them to no other page. Behind a proxy that changes
    the host they let the page open, which then says what is wrong.
    """
    is_read = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
    return is_read and str(scope["path"]).startswith("/assets/")


def _is_own(origin: str, host: str) -> bool:
    """A page that this server delivered itself: a proxy may have put TLS in front of it."""
    try:
        return bool(host) and urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def _refused(origin: str) -> QwellError:
    shown = origin[:255]
    return QwellError(
        "cors-blocked",
        found=f"a request from a page of origin {shown}",
        expected="the server's own page, or an origin on the allow-list",
        fix=f"allow it with: qwell serve --cors-origin {shown} (environment: QWELL_CORS_ORIGIN)",
    )
