"""Addresses: how a bound host is reached, and whether an address is this machine. Opens nothing."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  names them, binds nothing


def url_of(host: str, port: int) -> str:
    """Where a server that is bound to host answers on this machine."""
    near = _EVERYWHERE.get(host, host)
    return f"http://[{near}]:{port}" if ":" in near else f"http://{near}:{port}"


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_everywhere(host: str) -> bool:
    """An address to listen on, which nobody can call."""
    return host in _EVERYWHERE


def is_near(url: str) -> bool:
    """Whether a URL names this machine by a loopback address."""
    return is_loopback(urlsplit(url).hostname or "")
