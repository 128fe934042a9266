"""Who can open the address that the server is bound to. Opens nothing."""

from __future__ import annotations

from qwell.doctor.address import is_loopback, url_of

__all__ = ["is_public", "url_of"]


def is_public(host: str) -> bool:
    """Whether others than this machine can connect."""
    return not is_loopback(host)
