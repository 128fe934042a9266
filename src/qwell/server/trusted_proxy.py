"""Whose X-Forwarded-For and X-Forwarded-Proto count: those of the proxies that are named.

Without a name nobody's do: else every client could choose the address that is logged and limited.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from qwell.errors import QwellError

__all__ = ["ProxyHeadersMiddleware", "checked"]


def checked(proxies: Iterable[str]) -> list[str]:
    """The same; raises QwellError ``config-invalid`` for what is no address and no network."""
    for proxy in proxies:
        try:
            ipaddress.ip_network(proxy)
        except ValueError as error:
            raise QwellError(
                "config-invalid",
                found=f"trusted_proxy = {proxy}: {error}",
                expected="an address such as 127.0.0.1 or a network such as 172.16.0.0/12",
                fix="qwell serve --trusted-proxy 127.0.0.1",
            ) from None
    return list(proxies)
