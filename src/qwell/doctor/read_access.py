"""Lines that a server writes about each request: what was asked for is no evidence of a fault.

A path names pages, faults or words; only the status says how it went. Formats: common and combined
log, uvicorn, traefik, haproxy, gin, key=value and JSON. Knows no fault.
"""

from __future__ import annotations

import re

_METHOD = r"\b(?:GET|POST|PUT|HEAD|OPTIONS|DELETE|PATCH|CONNECT)"
_ASKED = re.compile(rf'{_METHOD}\s+"?(?P<target>(?:/|https?://)[^\s"]*)')
_KEYED = re.compile(
    r"""(?:path|uri|url|target|request)\w*["']?\s?[=:]\s?["']?(?P<target>(?:/|https?://)[^\s"',]*)""",
    re.IGNORECASE,
)
_STATUS_KEY = re.compile(r"""status\w*["']?\s?[=:]\s?["']?(?P<status>[1-5]\d\d)\b""", re.IGNORECASE)
_STATUS_AFTER = re.compile(r"""^"?(?:\s+HTTP/[\d.]+)?["\s:,\-]+(?P<status>[1-5]\d\d)\b(?![.:])""")
_STATUS_BEFORE = re.compile(r"[|\s](?P<status>[1-5]\d\d)\s(?:\||\d+\s)")
_URL = re.compile(r"""(?:\bhttps?:/)?/[^\s"'<>,]*""")
_PAGE_OF_FAULT = re.compile(r"/faults/[\w.\-]*")
_FIRST_BAD = 400


def without_target(text: str) -> str:
    """The line without what was asked for, unless it is none of these lines.

    Of a request that failed the path stays: it may say what it was about.
    """
    asked = _ASKED.search(text) or _KEYED.search(text)
    status = _status(text, asked) if asked else 0
    if not asked or not status:
        return text
    if status >= _FIRST_BAD:
        return _PAGE_OF_FAULT.sub("/", text)
    return _URL.sub("/", text)


def _status(text: str, asked: re.Match[str]) -> int:
    found = (
        _STATUS_AFTER.search(text[asked.end() :])
        or _STATUS_KEY.search(text)
        or _STATUS_BEFORE.search(text[: asked.start()])
    )
    return int(found["status"]) if found else 0
