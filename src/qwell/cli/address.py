"""Host and port as an address that can be opened from this machine. Opens nothing."""

from __future__ import annotations

import ipaddress

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  names them, binds nothing


def url_of(host: str, port: int) -> str:
    """Where a server that is bound to host answers on this machine."""
    near = _EVERYWHERE.get(host, host)
    return f"http://[{near}]:{port}" if ":" in near else f"http://{near}:{port}"


def is_public(host: str) -> bool:
    """Whether others than this machine can connect."""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"
