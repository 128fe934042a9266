"""Refuses requests that name a foreign host: the defence against DNS rebinding.

An attack needs a public DNS name that points here. So IP addresses and names without a dot
(localhost, a container's name) are let in, and dotted names only when they are ours: the bound
host, this machine's name, or the host of an allowed origin.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from qwell.errors import QwellError
from qwell.server.problem import refuse


def own_names(bound_host: str, origins: Iterable[str]) -> frozenset[str]:
    machine = socket.gethostname().lower()
    listed = {urlsplit(origin).hostname or "" for origin in origins}
    return frozenset({bound_host.lower(), machine, f"{machine}.local", *listed} - {""})


def is_allowed(host_header: str, names: frozenset[str]) -> bool:
    host = _without_port(host_header)
    return (
        host in names
        or bool(host and "." not in host and ":" not in host)
        or host.endswith(".localhost")
        or _is_address(host)
    )


class HostCheck:
    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = "" if scope["type"] == "lifespan" else Headers(scope=scope).get("host", "")
        if scope["type"] == "lifespan" or is_allowed(host, self._names):
            await self._app(scope, receive, send)
        else:
            await refuse(scope, receive, send, _foreign(host))


def _without_port(host_header: str) -> str:
    try:
        return (urlsplit(f"//{host_header}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _foreign(host: str) -> QwellError:
    return QwellError(
        "host-not-allowed",
        found=f"a request for host {host[:255]!r}",
        expected="an IP address, localhost, this machine's name or the host of an allowed origin",
        fix=f"if this name is yours: qwell serve --cors-origin https://{host[:255]} "
        "(the address that people type; environment: QWELL_CORS_ORIGIN)",
    )
