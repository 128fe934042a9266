"""The numbered event log of an answer, and the room where logs are kept.

One producer task per answer appends what the worker reports; any number of readers follow from
any offset, also after a dropped connection. Knows no HTTP: SSE, WebSocket, long-poll and the
OpenAI API are readers.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from qwell.core import Done, Event, Failed, Queued, Request, event_to_dict, is_terminal
from qwell.errors import QwellError
from qwell.server.problem import title
from qwell.server.worker_protocol import Worker

LAST_LOOK_S = 1.0  # readers get this long to see the end of an answer at shutdown
log = logging.getLogger("qwell.server.answer")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is kept, and for how long.

    live      answers in progress at once; more are refused
    ended     finished logs kept for readers that come back
    bytes     of event JSON over all kept logs; the oldest finished ones go first
    keep_s    how long a finished log is kept
    """

    live: int = 72
    ended: int = 256
    bytes: int = 64 * 1024 * 1024
    keep_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One event with its number and its wire form."""

    seq: int
    event: Event
    json: str

    def to_dict(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.json)
        return body


class Stream:
    """The log of one answer. Its first event is ``queued`` and names the stream."""

    def __init__(self, worker: Worker, request: Request, *, grace_s: float) -> None:
        self.id = secrets.token_hex(16)
        self.request = request
        self.entries: list[Entry] = []
        self.n_bytes = 0
        self.ended_at: float | None = None
        self._worker = worker
        self._grace_s = grace_s
        self._started_at = time.monotonic()
        self._readers = 0
        self.unread = asyncio.Event()  # set while nobody reads
        self.unread.set()
        self._reaper: asyncio.TimerHandle | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._grown = asyncio.Event()
        self._append(Queued(), stream=self.id, request_id=request.id)
        self.producer = asyncio.create_task(self._produce())

    @property
    def ended(self) -> bool:
        return self.ended_at is not None

    async def read(self, start: int = 0) -> AsyncIterator[Entry]:
        """Entries from number start on, waiting for those to come; ends after the terminal one."""
        at = max(0, start)
        while True:
            while at < len(self.entries):
                yield self.entries[at]
                at += 1
            if self.ended:
                return
            await self._grown.wait()

    async def wait(self, start: int, timeout_s: float) -> list[Entry]:
        """Entries from number start on as soon as there is one, else none after timeout_s."""
        try:
            async with asyncio.timeout(timeout_s):
                while len(self.entries) <= start and not self.ended:
                    await self._grown.wait()
        except TimeoutError:
            return []
        return self.entries[max(0, start) :]

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Counts a reader. Without readers for the grace period, the answer is cancelled."""
        self._readers += 1
        self.unread.clear()
        if self._reaper is not None:
            self._reaper.cancel()
        try:
            yield
        finally:
            self._readers -= 1
            if self._readers == 0:
                self.unread.set()
                loop = asyncio.get_running_loop()
                self._reaper = loop.call_later(self._grace_s, self._abandon)

    async def stop(self) -> None:
        """Ask the worker to end the answer. What was produced stays readable."""
        if not self.ended:
            await self._worker.cancel(self.request.id)

    async def finish(self, timeout_s: float) -> None:
        """Stop, and end the log even if the worker does not answer within timeout_s."""
        await self.stop()
        await asyncio.wait([self.producer], timeout=timeout_s)
        self.producer.cancel()
        await asyncio.wait([self.producer])

    def _abandon(self) -> None:
        if not self.ended:
            log.info("nobody reads: stopping", extra={"request_id": self.request.id})
            self._stopping = asyncio.create_task(self.stop())

    async def _produce(self) -> None:
        try:
            async with aclosing(self._worker.submit(self.request)) as events:
                async for event in events:
                    self._append(event)
        except QwellError as error:
            self._append(_failure(error))
        except Exception:
            log.exception("the worker's events broke off")
        finally:
            self._append(_broken())  # no effect after a terminal event
            self._report()

    def _append(self, event: Event, **extra: str) -> None:
        if self.ended:
            return
        if isinstance(event, Failed):
            event = replace(
                event, title=event.title or title(event.code), request_id=self.request.id
            )
        seq = len(self.entries)
        body = {"seq": seq, **event_to_dict(event), **extra}
        entry = Entry(seq, event, json.dumps(body, ensure_ascii=False))
        self.entries.append(entry)
        self.n_bytes += len(entry.json)
        if is_terminal(event):
            self.ended_at = time.monotonic()
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()

    def _report(self) -> None:
        """One log line per answer: how it ended, tokens and where the time went; no text."""
        last = self.entries[-1].event
        extra: dict[str, Any] = {"duration_ms": round(1e3 * (time.monotonic() - self._started_at))}
        if isinstance(last, Done):
            body = event_to_dict(last)
            timings = {name: round(value, 1) for name, value in body["timings"].items()}
            extra |= {"reason": last.reason, **body["usage"], **timings}
        elif isinstance(last, Failed):
            extra |= {"code": last.code, "cause": last.cause}
        log.info("answer", extra={"request_id": self.request.id, **extra})


class Streams:
    """All logs by id, bounded in number, bytes and age."""

    def __init__(self, worker: Worker, bounds: Bounds) -> None:
        self._worker = worker
        self._bounds = bounds
        self._by_id: dict[str, Stream] = {}

    @property
    def n_live(self) -> int:
        """Answers that have not ended."""
        return sum(not stream.ended for stream in self._by_id.values())

    def open(self, request: Request, *, grace_s: float) -> Stream:
        """Start an answer. Raises QwellError ``request-queueing`` when too many are live."""
        self._evict()
        if self.n_live >= self._bounds.live:
            raise QwellError(
                "request-queueing",
                found=f"{self.n_live} answers running or waiting",
                expected=f"fewer than {self._bounds.live}",
                fix="retry in some seconds, or raise --max-queue",
            )
        stream = Stream(self._worker, request, grace_s=grace_s)
        self._by_id[stream.id] = stream
        return stream

    def get(self, stream_id: str) -> Stream | None:
        self._evict()
        return self._by_id.get(stream_id)

    async def close(self, grace_s: float) -> None:
        """Let answers end for grace_s, then stop the rest; readers get to see the end."""
        live = [stream for stream in self._by_id.values() if not stream.ended]
        if not live:
            return
        await asyncio.wait([stream.producer for stream in live], timeout=grace_s)
        await asyncio.gather(*(stream.finish(2.0) for stream in live if not stream.ended))
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_LOOK_S):
                await asyncio.gather(*(stream.unread.wait() for stream in live))

    def _evict(self) -> None:
        now = time.monotonic()
        ended = [stream for stream in self._by_id.values() if stream.ended_at is not None]
        ended.sort(key=lambda stream: stream.ended_at or now)
        total = sum(stream.n_bytes for stream in self._by_id.values())
        for n_left, stream in zip(range(len(ended), 0, -1), ended, strict=True):
            is_old = now - (stream.ended_at or now) > self._bounds.keep_s
            if is_old or n_left > self._bounds.ended or total > self._bounds.bytes:
                del self._by_id[stream.id]
                total -= stream.n_bytes


def _failure(error: QwellError) -> Failed:
    cause = f"{error.found} (expected: {error.expected})"
    return Failed(code=error.fault, cause=cause, fix=error.fix)


def _broken() -> Failed:
    return Failed(
        code="worker-crashed",
        cause="the events of this answer broke off",
        fix="send the message again; `qwell serve` logs what happened",
    )
