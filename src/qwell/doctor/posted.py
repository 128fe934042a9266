"""Findings that others post: the page's self-test, in the browser where nobody else can look.

Keeps the newest of each probe for a while. Knows which probes there are, not what they mean.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from qwell.doctor.finding import Evidence, Finding, Status

KEEP_S = 600.0
PROBES = (
    "browser.reachable",
    "browser.cors",
    "browser.cors_credentials",
    "browser.mixed_content",
    "browser.csp",
    "browser.websocket",
    "browser.stream_pacing",
    "browser.long_poll",
    "browser.clock",
    "browser.api_json",
    "browser.script",
    "browser.fresh_page",
    "browser.service_worker",
    "browser.storage",
    "browser.address",
)
_MOST_FACTS, _MOST_CHARACTERS = 12, 300


class Posted:
    """The newest finding of each probe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found: dict[str, tuple[float, Finding]] = {}

    def take(self, bodies: Iterable[Mapping[str, Any]]) -> list[Finding]:
        """Keep what is well-formed, and return it. What pages send is bounded and never trusted."""
        taken = [finding for body in bodies if (finding := _finding(body)) is not None]
        for finding in taken:
            self._found[finding.check] = (self._clock(), finding)
        return taken

    def findings(self) -> list[Finding]:
        """Those that are not too old."""
        oldest = self._clock() - KEEP_S
        return [finding for at, finding in self._found.values() if at >= oldest]


def _finding(body: Mapping[str, Any]) -> Finding | None:
    if body.get("check") not in PROBES:
        return None
    try:
        status = Status(body.get("status", ""))
    except ValueError:
        return None
    facts = body.get("evidence")
    return Finding(
        check=body["check"],
        layer="browser",
        status=status,
        evidence=tuple(_facts(facts if isinstance(facts, list | tuple) else ())),
        because=str(body.get("because", ""))[:_MOST_CHARACTERS],
        ms=0.0,
    )


def _facts(items: Sequence[Any]) -> Iterable[Evidence]:
    for item in items[:_MOST_FACTS]:
        if isinstance(item, dict) and isinstance(item.get("key"), str):
            value = item.get("value")
            shown = (
                value if isinstance(value, bool | int | float) else str(value)[:_MOST_CHARACTERS]
            )
            yield Evidence(item["key"][:60], shown, "browser")
