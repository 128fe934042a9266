"""Many engines as one worker: an answer whose engine dies is gone on with by another one.

Stands where the supervisor stands on one machine. Knows no Ray: an `Engines` brings requests to
engines and events back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any, Protocol

from qwell.cluster.affinity import affinity
from qwell.cluster.board import POST_EVERY_S, together
from qwell.cluster.relay import Relay
from qwell.config import Settings
from qwell.core import Delta, Done, Event, Failed, Request, is_terminal
from qwell.engine.failure import failed
from qwell.errors import QwellError
from qwell.worker.status import WorkerStatus

MOST_MOVES = 3  # of one answer from a lost engine to another
BACKOFF_S = 0.25  # before the second move, and twice as long before the third
LOST = ("worker-crashed", "oom-killed")  # what ends an answer through no fault of its own

log = logging.getLogger("qwell.cluster")


class EngineLostError(Exception):
    """The engine that answered is gone, or nobody can say."""


class Engines(Protocol):
    """The way to the engines."""

    def ask(self, request: Request, key: str) -> AsyncGenerator[tuple[str, Sequence[Event]]]:
        """Events as they come, with the name of the engine; the first batch has none yet.

        Closing it cancels. Raises EngineLostError.
        """

    async def tell(self, engine: str, op: str, request_id: str) -> None:
        """cancel, pause or resume. An engine or a request that is gone is no error."""

    async def notes(self) -> Sequence[Mapping[str, Any]]:
        """What the engines have written about themselves; see board.py."""


class Fleet:
    """Implements server.worker_protocol.Worker."""

    def __init__(self, engines: Engines) -> None:
        self.status = WorkerStatus()
        self.n_moved = 0  # answers that another engine went on with
        self._engines = engines
        self._places: dict[str, str] = {}  # engine by request
        self._cancelled: set[str] = set()
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._watch is None:
            self._watch = asyncio.create_task(self._look())

    async def stop(self, grace_s: float) -> None:  # noqa: ARG002  answers end before the worker stops
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None

    def configure(self, settings: Settings) -> None:
        """Engines have settings of their own: those that the cluster was started with."""

    async def submit(self, request: Request) -> AsyncGenerator[Event]:
        """The events of one answer, whoever gives it; exactly one of them is terminal."""
        async with aclosing(self._relayed(request, Relay(request))) as events:
            async for event in events:
                yield event

    async def go_on(self, request: Request, said: Sequence[Delta]) -> AsyncGenerator[Event]:
        """The rest of an answer whose front is gone, after the pieces that its reader has."""
        relay = Relay(request, said)
        if not relay.can_move:
            yield failed(_lost(), request.id)
            return
        async with aclosing(self._relayed(request, relay)) as events:
            async for event in events:
                yield event

    async def forget(self, request_id: str) -> None:
        """Nobody reads this one any more, whichever engine computes it."""
        with suppress(EngineLostError):
            for note in await self._engines.notes():
                await self._engines.tell(str(note["engine"]), "cancel", request_id)

    async def _relayed(self, request: Request, relay: Relay) -> AsyncGenerator[Event]:
        key = affinity(request)
        try:
            for n_moves in range(MOST_MOVES + 1):
                async with aclosing(self._part(relay, key)) as events:
                    async for event in events:
                        yield event
                        if is_terminal(event):
                            return
                if request.id in self._cancelled:
                    yield Done("cancelled")
                    return
                if not relay.can_move:
                    break
                self.n_moved += 1
                log.warning("another engine goes on", extra={"request_id": request.id})
                await asyncio.sleep(BACKOFF_S * n_moves)
            yield failed(_lost(), request.id)
        finally:
            self._cancelled.discard(request.id)

    async def _part(self, relay: Relay, key: str) -> AsyncGenerator[Event]:
        """What one engine says; ends without a terminal event when that engine is lost."""
        request = relay.rest()
        try:
            async with aclosing(self._engines.ask(request, key)) as batches:
                async for engine, events in batches:
                    self._places[request.id] = engine
                    if request.id in self._cancelled:
                        await self._engines.tell(engine, "cancel", request.id)
                    for event in events:
                        if isinstance(event, Failed) and event.code in LOST and relay.can_move:
                            return
                        if (passed := relay.passed(event)) is not None:
                            yield passed
        except EngineLostError as error:
            log.warning("an engine is lost", extra={"cause": str(error)})
        finally:
            self._places.pop(request.id, None)

    async def cancel(self, request_id: str) -> None:
        self._cancelled.add(request_id)
        await self._tell("cancel", request_id)

    async def pause(self, request_id: str) -> None:
        await self._tell("pause", request_id)

    async def resume(self, request_id: str) -> None:
        await self._tell("resume", request_id)

    async def _tell(self, op: str, request_id: str) -> None:
        if (engine := self._places.get(request_id)) is not None:
            await self._engines.tell(engine, op, request_id)

    async def _look(self) -> None:
        while True:
            try:
                self.status = together(await self._engines.notes())
            except EngineLostError as error:
                log.warning("the engines' board cannot be read", extra={"cause": str(error)})
            await asyncio.sleep(POST_EVERY_S)


def _lost() -> QwellError:
    return QwellError(
        "worker-crashed",
        found="the engine that was answering is gone, and another one could not go on",
        expected="an engine that lives until the answer ends",
        fix="send the message again; `ray status` shows which nodes are alive",
    )
