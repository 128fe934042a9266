"""Whether a token really comes out: one short generation, with a deadline, kept for some seconds.

A worker that is busy with answers proves by them that it lives, and is not asked for more.
Knows no HTTP.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import aclosing
from dataclasses import dataclass

from qwell.core import Done, Event, Failed, Message, Request, Sampling, is_terminal
from qwell.errors import QwellError
from qwell.server.on_demand import ASIDE
from qwell.server.streams import Streams
from qwell.server.worker_protocol import Worker

DEADLINE_S = 15.0
KEEP_S = 10.0  # several probes must not cost several generations
SIGN_OF_LIFE_S = 30.0  # an answer that reported something since then shows a living worker


@dataclass(frozen=True, slots=True)
class Verdict:
    """error None: tokens come out. how: generated, or busy (seen by the answers of others)."""

    how: str
    seconds: float = 0.0
    error: QwellError | None = None


class Canary:
    """Ask as often as you like: at most one generation runs, and none within KEEP_S of the last."""

    def __init__(self, worker: Worker, streams: Streams, deadline_s: float = DEADLINE_S) -> None:
        self._worker = worker
        self._streams = streams
        self._deadline_s = deadline_s
        self._asking = asyncio.Lock()
        self._last: Verdict | None = None
        self._last_at = 0.0

    async def verdict(self) -> Verdict:
        async with self._asking:
            now = time.monotonic()
            if self._last is None or now - self._last_at > KEEP_S:
                self._last = self._seen() or await self._generate()
                self._last_at = time.monotonic()
            return self._last

    def _seen(self) -> Verdict | None:
        is_fresh = time.monotonic() - self._streams.last_sign_at < SIGN_OF_LIFE_S
        return Verdict("busy") if self._streams.n_live and is_fresh else None

    async def _generate(self) -> Verdict:
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._deadline_s):
                end = await self._answer()
        except TimeoutError:
            return self._seen() or Verdict("generated", self._deadline_s, self._silent())
        seconds = time.monotonic() - started
        return Verdict("generated", seconds, _reason(end))

    async def _answer(self) -> Event:
        request = Request(
            id=f"{ASIDE}canary-{secrets.token_hex(8)}",
            messages=(Message("user", "1+1="),),
            sampling=Sampling(temperature=0),
            max_tokens=1,
        )
        async with aclosing(self._worker.submit(request)) as events:
            async for event in events:
                if is_terminal(event):
                    return event
        raise AssertionError("an answer without an end")

    def _silent(self) -> QwellError:
        return QwellError(
            "worker-unresponsive",
            found=f"no token within {self._deadline_s:g} s, and no other answer moves",
            expected="one token",
            fix="see the last lines of `qwell serve`; a worker that hangs is restarted by itself",
        )


def _reason(end: Event) -> QwellError | None:
    if isinstance(end, Done):
        return None
    assert isinstance(end, Failed)
    return QwellError(end.code, found=end.cause, expected="one token", fix=end.fix)
