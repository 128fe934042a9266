"""A worker that leaves memory when nobody has asked for some time, and comes back when asked.

Wraps any worker; the answers it gives are the wrapped one's. Knows no HTTP.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from qwell.config import Settings
from qwell.core import Event, Request
from qwell.errors import QwellError
from qwell.server.worker_protocol import Status, Worker

ASIDE = "aside-"  # how ids of the server's own questions begin: they are no use of the model
log = logging.getLogger("qwell.server.idle")


@dataclass(frozen=True, slots=True)
class Unloaded:
    """The status while nothing is loaded on purpose. model: what will be loaded again."""

    model: Mapping[str, Any]
    restarts: int
    phase: str = "idle"
    progress: float = 0.0
    error: QwellError | None = None
    last_words: str = ""
    pid: int | None = None
    running: int = 0
    waiting: int = 0


class OnDemand:
    """Stops the worker after idle_s without an answer; the next request starts it again."""

    def __init__(self, worker: Worker, idle_s: float) -> None:
        self._worker = worker
        self._idle_s = idle_s
        self._n_answers = 0
        self._unloaded: Unloaded | None = None
        self._changing = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._unloading: asyncio.Task[None] | None = None

    @property
    def status(self) -> Status:
        return self._unloaded or self._worker.status

    async def start(self) -> None:
        await self._worker.start()
        self._wait_for_idleness()

    async def stop(self, grace_s: float) -> None:
        self._forget_timer()
        async with self._changing:
            if self._unloaded is None:
                await self._worker.stop(grace_s)

    def configure(self, settings: Settings) -> None:
        self._worker.configure(settings)

    async def submit(self, request: Request) -> AsyncGenerator[Event]:
        is_use = not request.id.startswith(ASIDE)
        self._n_answers += 1
        if is_use:
            self._forget_timer()
        try:
            await self._load()
            async with aclosing(self._worker.submit(request)) as events:
                async for event in events:
                    yield event
        finally:
            self._n_answers -= 1
            if is_use or self._timer is None:
                self._wait_for_idleness()

    async def cancel(self, request_id: str) -> None:
        await self._worker.cancel(request_id)

    async def pause(self, request_id: str) -> None:
        await self._worker.pause(request_id)

    async def resume(self, request_id: str) -> None:
        await self._worker.resume(request_id)

    async def _load(self) -> None:
        async with self._changing:
            if self._unloaded is not None:
                log.info("loading the model again: it is asked for")
                await self._worker.start()
                self._unloaded = None

    def _wait_for_idleness(self) -> None:
        self._forget_timer()
        if not self._n_answers:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._idle_s, self._begin_unloading)

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin_unloading(self) -> None:
        self._timer = None
        self._unloading = asyncio.create_task(self._unload())

    async def _unload(self) -> None:
        async with self._changing:
            status = self._worker.status
            if self._n_answers or self._unloaded or status.phase == "stopped":
                return
            if status.phase != "ready":  # it is still on its way; its time comes later
                self._wait_for_idleness()
                return
            log.info("unloading the model", extra={"idle_s": self._idle_s})
            await self._worker.stop(0)
            self._unloaded = Unloaded(status.model, status.restarts)
