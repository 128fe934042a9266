"""What came back over HTTP, as checks read it. Knows nothing of how it was asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """Header names are in lower case. ms: until the head of the answer was there."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    ms: float = 0.0

    def json(self) -> dict[str, Any]:
        """The body's object, empty for anything else."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def is_html(self) -> bool:
        start = self.body[:200].lstrip().lower()
        return start.startswith((b"<!doctype html", b"<html")) or "text/html" in self.headers.get(
            "content-type", ""
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """One server-sent event. at_s: seconds since the request was sent."""

    data: str
    at_s: float

    def json(self) -> dict[str, Any]:
        try:
            value = json.loads(self.data)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}
