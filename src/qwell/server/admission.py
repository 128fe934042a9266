"""Which answer may begin: places in the queue, and a rate for each key and each address.

Refuses with the time after which trying again makes sense, measured from how long answers have
taken. Knows no HTTP and starts nothing; time is a function given to it.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from qwell.engine.estimate import WaitEstimate
from qwell.errors import QwellError
from qwell.server.caller import Caller

MAX_CALLERS = 10_000  # remembered; whoever was heard longest ago is forgotten first
UNKNOWN_WAIT_S = 5.0  # before any answer has ended


@dataclass(slots=True)
class Bucket:
    """Tokens of one caller: at most a minute's worth, refilled evenly."""

    tokens: float
    filled_at: float


class RateLimit:
    """At most so many answers a minute for each name; a quiet minute allows them all at once.

    per_minute 0 means no limit.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def wait_s(self, name: str) -> float:
        """Seconds until an answer of this caller may begin; 0 for now."""
        if not self._per_minute:
            return 0.0
        return max(0.0, (1 - self._bucket(name).tokens) * 60 / self._per_minute)

    def take(self, name: str) -> None:
        """Count an answer. Only after wait_s has said 0."""
        if self._per_minute:
            self._bucket(name).tokens -= 1

    def _bucket(self, name: str) -> Bucket:
        now = self._clock()
        bucket = self._buckets.setdefault(name, Bucket(self._per_minute, now))
        gained = (now - bucket.filled_at) * self._per_minute / 60
        bucket.tokens, bucket.filled_at = min(self._per_minute, bucket.tokens + gained), now
        self._buckets.move_to_end(name)
        if len(self._buckets) > MAX_CALLERS:
            self._buckets.popitem(last=False)
        return bucket


class Admission:
    """The gate before the queue. Ask `refusal` (or `admit`, which raises it), then begin."""

    def __init__(
        self, max_queue: int, rate_limit: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_queue = max_queue
        self._per_minute = rate_limit
        self._rate = RateLimit(rate_limit, clock)
        self._estimate = WaitEstimate(1)
        self.closing_in_s: float | None = None  # set when the server stops: nothing begins any more

    def admit(self, caller: Caller, n_live: int, n_slots: int) -> None:
        """Count the answer that begins now. Raises the QwellError of `refusal`."""
        if (reason := self.refusal(caller, n_live, n_slots)) is not None:
            raise reason
        for name in _names(caller):
            self._rate.take(name)

    def refusal(self, caller: Caller, n_live: int, n_slots: int) -> QwellError | None:
        """Why no answer may begin, with the time to wait; None when one may."""
        if self.closing_in_s is not None:
            return shutting_down(self.closing_in_s)
        if n_live >= self._max_queue + n_slots:
            return self._queue_full(n_live, n_slots)
        waits = {name: self._rate.wait_s(name) for name in _names(caller)}
        slowest = max(waits, key=waits.__getitem__)
        return self._too_often(slowest, waits[slowest]) if waits[slowest] else None

    def note(self, held_s: float) -> None:
        """An answer has occupied the engine for this long."""
        self._estimate.note(held_s)

    def wait_s(self, n_ahead: int, n_slots: int) -> float | None:
        """Expected until n_ahead answers have ended; None before any answer has."""
        mean_s = self._estimate.wait_s(n_ahead)
        return None if mean_s is None else mean_s / n_slots

    def _queue_full(self, n_live: int, n_slots: int) -> QwellError:
        place_s = self.wait_s(1, n_slots) or UNKNOWN_WAIT_S
        return QwellError(
            "request-queueing",
            found=f"{max(0, n_live - n_slots)} answers are waiting and {min(n_live, n_slots)} run",
            expected=f"at most {self._max_queue} waiting",
            fix=f"try again in {place_s:.0f} s, when a place is expected to be free; "
            "qwell serve --max-queue lets more wait",
            retry_after_s=place_s,
        )

    def _too_often(self, name: str, wait_s: float) -> QwellError:
        return QwellError(
            "rate-limited",
            found=f"more answers were asked for by {name} than are allowed",
            expected=f"at most {self._per_minute} a minute",
            fix=f"try again in {max(1, wait_s):.0f} s; qwell serve --rate-limit sets the number",
            retry_after_s=wait_s,
        )


def shutting_down(closing_in_s: float) -> QwellError:
    return QwellError(
        "graceful-shutdown",
        found="the server is shutting down and lets running answers end",
        expected="a running server",
        fix="send the request again when the server is back",
        retry_after_s=closing_in_s,
    )


def _names(caller: Caller) -> list[str]:
    """What the rate is counted for. A subscriber's IPv6 addresses are one network of 64 bits."""
    names = [f"address {_network(caller.address)}"]
    return [*names, f"key {caller.key}"] if caller.key else names


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
