"""A front's side of the ledger: no reader sees an event before it is kept a second time.

So whatever a reader has, any front can go on from: by following the front that writes the answer,
or in its place when that is gone. Events of all answers that come while a call is under way are
kept by the next one. Knows no Ray and no HTTP.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import ExitStack, aclosing, suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

from qwell.cluster.fleet import Fleet
from qwell.cluster.ledger import Row
from qwell.core import Delta, Event, Request, event_from_dict, is_terminal
from qwell.engine.failure import failed
from qwell.errors import QwellError
from qwell.server.streams import Entry, Found, Stream

SPEAK_EVERY_S = 0.5  # also with nothing to say: so the ledger knows that this front lives
COMMIT_S = 2.0  # longer than that readers do not wait for the copy

log = logging.getLogger("qwell.cluster")


class LedgerLostError(Exception):
    """The ledger does not answer; it is started again by itself, empty."""


class LedgerLine(Protocol):
    """The way to the ledger: its methods, by name. Raises LedgerLostError."""

    async def call(self, method: str, *arguments: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    stream: Stream
    entry: Entry
    kept: asyncio.Future[bool]


class Copies:
    """Implements server.streams.Copies."""

    def __init__(self, ledger: LedgerLine, fleet: Fleet) -> None:
        self.front = secrets.token_hex(8)
        self.ledger = ledger
        self.fleet = fleet
        self.claimed: set[str] = set()  # answers of fronts that are gone, which this one writes now
        self._own: dict[str, Stream] = {}
        self._waiting: list[_Waiting] = []
        self._reading: dict[str, ExitStack] = {}  # for readers at other fronts
        self._wake = asyncio.Event()
        self._speaking: asyncio.Task[None] | None = None
        self._stopping: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        if self._speaking is None:
            self._speaking = asyncio.create_task(self._speak())

    async def stop(self) -> None:
        if self._speaking is not None:
            self._speaking.cancel()
            with suppress(asyncio.CancelledError):
                await self._speaking
            self._speaking = None
        for it in self._waiting:
            it.kept.set_result(True)
        self._waiting.clear()
        while self._reading:
            self._reading.popitem()[1].close()
        with suppress(LedgerLostError):
            await self.ledger.call("leave", self.front)

    async def keep(self, stream: Stream, entry: Entry) -> bool:
        """False when another front has taken the answer over."""
        if entry.seq == 0 or stream.id in self.claimed:
            self.claimed.discard(stream.id)
            self._own[stream.id] = stream
        if stream.id not in self._own or self._speaking is None or self._speaking.done():
            return True  # it is kept by the front that wrote it; or this front is going
        kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(stream, entry, kept))
        self._wake.set()
        return await kept

    async def find(self, stream_id: str) -> Found | None:
        try:
            known = await self.ledger.call("find", stream_id)
        except LedgerLostError:
            return None
        if known is None:
            return None
        elsewhere = Elsewhere(self, stream_id, known["events"])
        request = Request.from_dict(known["request"])
        return Found(stream_id, request, known["events"], elsewhere, lambda: elsewhere.is_ours)

    async def _speak(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(SPEAK_EVERY_S):
                    await self._wake.wait()
            self._wake.clear()
            batch, self._waiting = self._waiting, []
            told = await self._commit(batch)
            for it in batch:
                if not it.kept.done():
                    it.kept.set_result(it.stream.id not in told["lost"] or it.entry.seq == 0)
                if is_terminal(it.entry.event) or it.stream.id in told["lost"]:
                    self._own.pop(it.stream.id, None)
            self._obey(told)

    async def _commit(self, batch: Sequence[_Waiting]) -> Mapping[str, Sequence[str]]:
        """With the ledger lost answers go on all the same; only this front has them then."""
        begun = {it.stream.id: it.stream.request.to_dict() for it in batch if it.entry.seq == 0}
        rows: list[Row] = [(it.stream.id, it.entry.seq, it.entry.json) for it in batch]
        ended = {it.stream.id for it in batch if is_terminal(it.entry.event)}
        try:
            async with asyncio.timeout(COMMIT_S):
                told: dict[str, list[str]] = await self.ledger.call(
                    "commit", self.front, begun, rows, ended
                )
        except (LedgerLostError, TimeoutError) as error:
            log.warning("answers are not copied", extra={"cause": f"{error!r}"})
            return {"lost": (), "followed": tuple(self._reading), "stopped": ()}
        return told

    def _obey(self, told: Mapping[str, Sequence[str]]) -> None:
        for name in set(told["followed"]) & self._own.keys() - self._reading.keys():
            reader = self._reading[name] = ExitStack()
            reader.enter_context(self._own[name].attached())
        for name in self._reading.keys() - set(told["followed"]):
            self._reading.pop(name).close()
        for name in set(told["stopped"]) & self._own.keys():
            task = asyncio.create_task(self._own[name].stop())
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)


class Elsewhere:
    """The worker of an answer that another front writes, until this one has to go on with it."""

    def __init__(self, copies: Copies, stream_id: str, events: Sequence[str]) -> None:
        self.is_ours = False
        self._copies = copies
        self._id = stream_id
        self._n_events = len(events)
        self._pieces = [it for it in map(_event, events) if isinstance(it, Delta)]
        self._read = asyncio.Event()
        self._read.set()
        self._own_request = ""

    @property
    def status(self) -> Any:
        return self._copies.fleet.status

    async def submit(self, request: Request) -> AsyncGenerator[Event]:
        try:
            async with aclosing(self._follow()) as events:
                async for event in events:
                    yield event
                    if is_terminal(event):
                        return
        except LedgerLostError:
            yield failed(_forgotten(), request.id)
            return
        log.info("this front goes on", extra={"request_id": request.id})
        self._own_request = (
            f"{request.id}.{secrets.token_hex(2)}"  # the first may run on for a moment
        )
        await self._copies.fleet.forget(request.id)
        own = replace(request, id=self._own_request)
        async with aclosing(self._copies.fleet.go_on(own, self._said_after(request))) as events:
            async for event in events:
                yield event

    async def _follow(self) -> AsyncGenerator[Event]:
        """Ends without a terminal event once the answer is ours."""
        ledger, front = self._copies.ledger, self._copies.front
        while True:
            await self._read.wait()
            told = await ledger.call("follow", self._id, self._n_events)
            if told is None:
                raise LedgerLostError
            for event in map(_event, told["events"]):
                self._n_events += 1
                if isinstance(event, Delta):
                    self._pieces.append(event)
                yield event
            if (
                told["orphan"]
                and not told["events"]
                and await ledger.call("claim", self._id, front)
            ):
                self.is_ours = True
                self._copies.claimed.add(self._id)
                return

    def _said_after(self, request: Request) -> Sequence[Delta]:
        """What engines have said: a text that was to be gone on with is not theirs."""
        if not request.continue_last or not request.messages:
            return self._pieces
        text = "".join(piece.text for piece in self._pieces)
        calls = tuple(call for piece in self._pieces for call in piece.tool_calls)
        return [Delta(text[len(request.messages[-1].content) :], tool_calls=calls)]

    async def cancel(self, request_id: str) -> None:  # noqa: ARG002  there is only this one
        if self.is_ours:
            await self._copies.fleet.cancel(self._own_request)
        else:
            with suppress(LedgerLostError):
                await self._copies.ledger.call("stop", self._id)

    async def pause(self, request_id: str) -> None:  # noqa: ARG002  the same
        self._read.clear()
        if self.is_ours:
            await self._copies.fleet.pause(self._own_request)

    async def resume(self, request_id: str) -> None:  # noqa: ARG002  the same
        self._read.set()
        if self.is_ours:
            await self._copies.fleet.resume(self._own_request)


def _event(text: str) -> Event:
    return event_from_dict(json.loads(text))


def _forgotten() -> QwellError:
    return QwellError(
        "worker-crashed",
        found="the front that wrote this answer, or the ledger of all answers, is gone",
        expected="one of them to go on from",
        fix="send the message again; `ray status` shows which nodes are alive",
    )
