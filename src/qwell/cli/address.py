"""Addresses that people give, and who can open those the server is bound to. Opens nothing."""

from __future__ import annotations

from urllib.parse import urlsplit

from qwell.doctor.address import is_loopback, url_of
from qwell.errors import QwellError

__all__ = ["is_public", "url_given", "url_of"]


def url_given(url: str | None) -> str:
    """What was given as --url, as it can be called: without a scheme, http is meant. "" for none.

    Raises QwellError ``config-invalid``.
    """
    if not url:
        return ""
    full = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(full)
        is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is none, half an IPv6 address
        is_address = False
    if not is_address:
        raise QwellError(
            "config-invalid",
            found=f"--url {url[:200]}",
            expected="an address that starts with http:// or https://",
            fix="--url http://127.0.0.1:8000",
        )
    return full


def is_public(host: str) -> bool:
    """Whether others than this machine can connect."""
    return not is_loopback(host)
