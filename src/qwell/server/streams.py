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
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

from qwell.core import (
    Delta,
    Done,
    Event,
    Failed,
    Queued,
    Request,
    event_from_dict,
    event_to_dict,
    is_terminal,
)
from qwell.errors import QwellError
from qwell.server import caller
from qwell.server.admission import Admission
from qwell.server.metrics import Metrics
from qwell.server.problem import patience_s, worded
from qwell.server.worker_protocol import Worker

PAUSE_AFTER_S = 0.1  # without a reader; between two long-polls nobody reads for a moment
LAST_LOOK_S = 1.0  # readers get this long to see the end of an answer at shutdown
_to_json = json.JSONEncoder(ensure_ascii=False).encode
log = logging.getLogger("qwell.server.answer")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is kept, and for how long.

    ended     finished logs kept for readers that come back
    bytes     of event JSON over all kept logs; the oldest finished ones go first
    keep_s    how long a finished log is kept
    answer_s  how long an answer may take, waiting included; 0: no limit
    """

    ended: int = 256
    bytes: int = 64 * 1024 * 1024
    keep_s: float = 300.0
    answer_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One event with its number and its wire form."""

    seq: int
    event: Event
    json: str

    def to_dict(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.json)
        return body


Entries = list[Entry]


class Recorder(Protocol):
    """Keeps an answer elsewhere, too; see recording.py."""

    def watch(self, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
        """The same events, with a notice before the end of an answer that could not be kept."""

    def overrule(self, end: Failed) -> None:
        """The answer has ended so, whatever the worker says after it."""


@dataclass(frozen=True, slots=True)
class Found:
    """An answer that another server began. is_ours: this one has gone on with it."""

    stream: str
    request: Request
    events: Sequence[str]  # so far, as JSON
    worker: AnswerWorker
    is_ours: Callable[[], bool]


class AnswerWorker(Protocol):
    """Of a Worker, what one answer needs."""

    def submit(self, request: Request) -> AsyncGenerator[Event]: ...
    async def cancel(self, request_id: str) -> None: ...
    async def pause(self, request_id: str) -> None: ...
    async def resume(self, request_id: str) -> None: ...


class Copies(Protocol):
    """Where logs are kept a second time, for readers that come back to another server."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    async def keep(self, stream: Stream, entry: Entry) -> bool:
        """Returns when the entry is kept; readers see it afterwards.

        False: another server has gone on with the answer.
        """

    async def find(self, stream_id: str) -> Found | None:
        """An answer of another server."""


class Stream:
    """The log of one answer. Its first event is ``queued`` and names the stream.

    With copies, that event too appears only when it is kept. found: the answer began elsewhere.
    """

    def __init__(
        self,
        worker: AnswerWorker,
        request: Request,
        *,
        grace_s: float,
        place: Queued | None = None,
        names: Mapping[str, str] | None = None,
        recorder: Recorder | None = None,
        copies: Copies | None = None,
        found: Found | None = None,
    ) -> None:
        self.id = found.stream if found else secrets.token_hex(16)
        self.request = request
        self.entries: list[Entry] = []
        self.n_bytes = 0
        self.ended_at: float | None = None
        self.has_moved = False  # another server goes on with it: readers have to come back
        self._worker = worker
        self._recorder = recorder
        self._copies = copies
        self._found = found
        self._grace_s = grace_s
        self._language = caller.language.get()  # of whoever asked: all readers see the same
        self._started_at = time.monotonic()
        self._readers = 0
        self.last_sign_at = 0.0  # when the worker last reported something, on the monotonic clock
        self.unread = asyncio.Event()  # set while nobody reads
        self.unread.set()
        self._reaper: asyncio.TimerHandle | None = None
        self._pauser: asyncio.TimerHandle | None = None
        self._is_paused = False
        self._turning: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._grown = asyncio.Event()
        self._deadline: asyncio.TimerHandle | None = None
        self._names = {"stream": self.id, "request_id": request.id, **(names or {})}
        for text in found.events if found else ():
            self._show(Entry(len(self.entries), event_from_dict(json.loads(text)), text))
        first = None if found else place or Queued()
        if first and copies is None:
            self._show(self._entry(first, self._names))
            first = None
        self.producer = asyncio.create_task(self._produce(first))

    @property
    def ended(self) -> bool:
        return self.ended_at is not None

    @property
    def is_of_another(self) -> bool:
        """Another server writes it, and accounts for it."""
        return self.has_moved or (self._found is not None and not self._found.is_ours())

    async def read(self, start: int = 0) -> AsyncGenerator[Entry]:
        """Entries from number start on, waiting for those to come; ends after the terminal one."""
        async with aclosing(self.batches(start)) as batches:
            async for batch in batches:
                for entry in batch:
                    yield entry

    async def batches(self, start: int = 0, idle_s: float | None = None) -> AsyncGenerator[Entries]:
        """The same, as many at a time as there are; none of them when idle_s passed without one."""
        at = max(0, start)
        while True:
            if batch := self.entries[at:]:
                at += len(batch)
                yield batch
            elif self.ended or self.has_moved:
                return
            elif not await self._grows(idle_s):
                yield []

    async def wait(self, start: int, timeout_s: float) -> Entries:
        """Entries from number start on as soon as there is one, else none after timeout_s."""
        try:
            async with asyncio.timeout(timeout_s):
                while len(self.entries) <= start and not (self.ended or self.has_moved):
                    await self._grown.wait()
        except TimeoutError:
            return []
        return self.entries[max(0, start) :]

    async def _grows(self, timeout_s: float | None) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await self._grown.wait()
        except TimeoutError:
            return False
        return True

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Counts a reader. Without any, the answer pauses, and after the grace it is cancelled."""
        self._readers += 1
        self._go_on()
        try:
            yield
        finally:
            self._readers -= 1
            if self._readers == 0:
                self.unread.set()
                loop = asyncio.get_running_loop()
                self._pauser = loop.call_later(PAUSE_AFTER_S, self._pause)
                self._reaper = loop.call_later(self._grace_s, self._abandon)

    def _go_on(self) -> None:
        self.unread.clear()
        for timer in (self._pauser, self._reaper):
            if timer is not None:
                timer.cancel()
        if self._is_paused:
            self._is_paused = False
            self._turning = asyncio.create_task(self._worker.resume(self.request.id))

    def _pause(self) -> None:
        if not self.ended:
            self._is_paused = True
            self._turning = asyncio.create_task(self._worker.pause(self.request.id))

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

    def end_after(self, answer_s: float) -> None:
        """Fail with ``answer-timeout`` unless it has ended by then. What was said stays."""
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(answer_s, self._expire, answer_s)

    def _expire(self, answer_s: float) -> None:
        if not self.ended:
            self._append(failed := _failure(_too_slow(answer_s)))
            if self._recorder is not None:
                self._recorder.overrule(failed)
            self._stopping = asyncio.create_task(self._give_up())

    async def _give_up(self) -> None:
        if self._copies is not None:
            await self._copies.keep(self, self.entries[-1])
        await self._worker.cancel(self.request.id)

    def _abandon(self) -> None:
        if self._found is not None and not self._found.is_ours():
            self._leave()  # whoever writes it knows of other readers
            self.producer.cancel()
        elif not self.ended:
            log.info("nobody reads: stopping", extra={"request_id": self.request.id})
            self._stopping = asyncio.create_task(self.stop())

    async def _produce(self, first: Event | None) -> None:
        if self.ended:
            return
        events = self._events()
        if self._recorder is not None:
            events = self._recorder.watch(events)
        try:
            async with aclosing(events):
                if first is not None:
                    await self._put(first, self._names)
                async for event in events:
                    if not await self._put(event):
                        return
        except Exception:
            log.exception("the answer could not be kept")
        finally:
            if not self.has_moved:
                self._append(_broken())  # no effect after a terminal event
            if self._deadline is not None:
                self._deadline.cancel()

    async def _put(self, event: Event, names: Mapping[str, str] | None = None) -> bool:
        """False when the answer is no longer this server's."""
        entry = self._entry(event, names)
        is_kept = self._copies is None or self.ended or await self._copies.keep(self, entry)
        if not is_kept:
            self._leave()
            return False
        self._show(entry)
        return True

    def _leave(self) -> None:
        self.has_moved = True
        self._tell_readers()

    async def _events(self) -> AsyncGenerator[Event]:
        """What the worker says; however it breaks off, the last event is a terminal one."""
        try:
            async with aclosing(self._worker.submit(self.request)) as events:
                async for event in events:
                    self.last_sign_at = time.monotonic()
                    yield event
                    if is_terminal(event):
                        return
        except QwellError as error:
            yield _failure(error)
            return
        except Exception:
            log.exception("the worker's events broke off")
        yield _broken()

    def _append(self, event: Event) -> None:
        self._show(self._entry(event))

    def _entry(self, event: Event, names: Mapping[str, str] | None = None) -> Entry:
        if isinstance(event, Failed):
            event = replace(
                worded(event, "en"),
                request_id=self.request.id,
                retry_after_s=patience_s(event.code, event.retry_after_s),
            )
        seq = len(self.entries)
        shown = worded(event, self._language) if isinstance(event, Failed) else event
        body = {"seq": seq, **event_to_dict(shown), **(names or {})}
        return Entry(seq, event, _to_json(body))

    def _show(self, entry: Entry) -> None:
        """Readers see it. No effect after a terminal event."""
        if self.ended:
            return
        self.entries.append(entry)
        self.n_bytes += len(entry.json)
        if is_terminal(entry.event):
            self.ended_at = time.monotonic()
        self._tell_readers()

    def _tell_readers(self) -> None:
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()

    @property
    def end(self) -> Done | Failed:
        """The terminal event. Only once the stream has ended."""
        last = self.entries[-1].event
        assert isinstance(last, Done | Failed)
        return last

    @property
    def duration_s(self) -> float:
        return (self.ended_at or time.monotonic()) - self._started_at

    @property
    def text(self) -> str:
        """The answer as far as it has come."""
        return "".join(e.event.text for e in self.entries if isinstance(e.event, Delta))


class Streams:
    """All logs by id, bounded in number, bytes and age; each answer's end is logged and counted.

    log_text writes prompts and answers to the log, too.
    """

    def __init__(
        self,
        worker: Worker,
        bounds: Bounds,
        admission: Admission,
        metrics: Metrics | None = None,
        *,
        log_text: bool = False,
        copies: Copies | None = None,
    ) -> None:
        self.admission = admission
        self.metrics = metrics or Metrics()
        self._worker = worker
        self._bounds = bounds
        self._log_text = log_text
        self._copies = copies
        self._by_id: dict[str, Stream] = {}
        self.watchers: list[Callable[[Stream], None]] = []  # told of each answer that has ended

    @property
    def n_live(self) -> int:
        """Answers that have not ended."""
        return sum(not (it.ended or it.is_of_another) for it in self._by_id.values())

    @property
    def last_sign_at(self) -> float:
        """When any answer has last reported something."""
        return max((stream.last_sign_at for stream in self._by_id.values()), default=0.0)

    def open(
        self,
        request: Request,
        *,
        grace_s: float,
        names: Mapping[str, str] | None = None,
        recorder: Recorder | None = None,
        is_copied: bool = False,
    ) -> Stream:
        """Start an answer. Raises QwellError of Admission.refusal when it may not begin.

        names: fields added to the first event. is_copied: its readers may come back elsewhere.
        """
        self._evict()
        n_live, n_slots = self.n_live, self._n_slots
        try:
            self.admission.admit(caller.current.get(), n_live, n_slots)
        except QwellError as refused:
            self.metrics.refusals.add(refused.fault)
            raise
        position = max(0, n_live + 1 - n_slots)
        place = Queued(position, self.admission.wait_s(position, n_slots) if position else None)
        stream = Stream(
            self._worker, request, grace_s=grace_s, place=place, names=names, recorder=recorder,
            copies=self._copies if is_copied else None,
        )  # fmt: skip
        self._enter(stream)
        return stream

    def _enter(self, stream: Stream) -> None:
        if self._bounds.answer_s and not stream.ended:
            stream.end_after(self._bounds.answer_s)
        stream.producer.add_done_callback(lambda _: self._ended(stream))
        self._by_id[stream.id] = stream

    async def find(
        self, stream_id: str, grace_s: float, recorder: Callable[[Found], Recorder | None]
    ) -> Stream | None:
        """The answer of this name, wherever it began.

        recorder: keeps it, once this server goes on with it.
        """
        if (here := self._here(stream_id)) is not None or self._copies is None:
            return here
        if (found := await self._copies.find(stream_id)) is None:
            return None
        if (here := self._here(stream_id)) is not None:  # another reader was quicker
            return here
        stream = Stream(
            found.worker, found.request, grace_s=grace_s, recorder=recorder(found),
            copies=self._copies, found=found,
        )  # fmt: skip
        self._enter(stream)
        return stream

    def _here(self, stream_id: str) -> Stream | None:
        stream = self.get(stream_id)
        return None if stream is None or stream.has_moved else stream

    @property
    def _n_slots(self) -> int:
        return int(self._worker.status.model.get("n_slots", 1))

    def _ended(self, stream: Stream) -> None:
        """Count the answer, learn from its time, and log it: tokens and times; text if wanted."""
        if stream.is_of_another:
            return
        end = stream.end
        self.metrics.answer_ended(end)
        for tell in self.watchers:
            tell(stream)
        if isinstance(end, Done) and end.usage.completion_tokens:
            self.admission.note(max(0.0, stream.duration_s - end.timings.queue_ms / 1e3))
        extra = {"request_id": stream.request.id, "duration_ms": round(1e3 * stream.duration_s)}
        text = _said(stream) if self._log_text else {}
        log.info("answer", extra=extra | _facts(end) | text)

    def of_request(self, request_id: str) -> Stream | None:
        """The stream of an answer that has not ended."""
        live = (stream for stream in self._by_id.values() if not stream.ended)
        return next((stream for stream in live if stream.request.id == request_id), None)

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
        self._by_id = {name: it for name, it in self._by_id.items() if not it.has_moved}
        ended = [stream for stream in self._by_id.values() if stream.ended_at is not None]
        ended.sort(key=lambda stream: stream.ended_at or now)
        total = sum(stream.n_bytes for stream in self._by_id.values())
        for n_left, stream in zip(range(len(ended), 0, -1), ended, strict=True):
            is_old = now - (stream.ended_at or now) > self._bounds.keep_s
            if is_old or n_left > self._bounds.ended or total > self._bounds.bytes:
                del self._by_id[stream.id]
                total -= stream.n_bytes


def _facts(end: Done | Failed) -> dict[str, Any]:
    if isinstance(end, Failed):
        return {"code": end.code, "cause": end.cause}
    body = event_to_dict(end)
    timings = {name: round(value, 1) for name, value in body["timings"].items()}
    return {"reason": end.reason, **body["usage"], **timings}


def _said(stream: Stream) -> dict[str, Any]:
    request = stream.request
    asked = request.prompt or [f"{turn.role}: {turn.content}" for turn in request.messages]
    return {"prompt": asked, "answer": stream.text}


def _failure(error: QwellError) -> Failed:
    cause = f"{error.found} (expected: {error.expected})"
    return Failed(code=error.fault, cause=cause, fix=error.fix, retry_after_s=error.retry_after_s)


def _broken() -> Failed:
    return Failed(
        code="worker-crashed",
        cause="the events of this answer broke off",
        fix="send the message again; `qwell serve` logs what happened",
    )


def _too_slow(answer_s: float) -> QwellError:
    return QwellError(
        "answer-timeout",
        found=f"the answer had not ended after {answer_s:g} s, waiting included",
        expected=f"an end within {answer_s:g} s",
        fix="ask for fewer tokens (max_tokens), or raise qwell serve --request-timeout-s",
    )
