"""What the server needs from a worker: its status and the events of an answer.

The real one is worker.supervisor.Supervisor; tests bring their own. Knows no HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol

from qwell.config import Settings
from qwell.core import Event, Request
from qwell.errors import QwellError


class Status(Protocol):
    """A snapshot of the worker.

    phase     starting, loading, ready, failed, restarting or stopped; idle: out of memory for the
              time being, and loaded again for the next request
    progress  of loading, 0 to 1
    model     what is really served: name, quant, engine, isa, threads; empty until ready
    error     why the model cannot answer, when phase is failed
    pid       of the worker process, None while there is none
    restarts  worker processes started after the first
    running   answers computed now; waiting: those in the engine's queue
    """

    @property
    def phase(self) -> str: ...
    @property
    def progress(self) -> float: ...
    @property
    def model(self) -> Mapping[str, Any]: ...
    @property
    def error(self) -> QwellError | None: ...
    @property
    def last_words(self) -> str: ...
    @property
    def pid(self) -> int | None: ...
    @property
    def restarts(self) -> int: ...
    @property
    def running(self) -> int: ...
    @property
    def waiting(self) -> int: ...


class Worker(Protocol):
    @property
    def status(self) -> Status: ...

    async def start(self) -> None:
        """Begin loading; returns at once. A model that fails to load shows in status."""

    async def stop(self, grace_s: float) -> None:
        """Let running answers end for grace_s, then end them."""

    def configure(self, settings: Settings) -> None:
        """What is loaded from the next start on."""

    def submit(self, request: Request) -> AsyncGenerator[Event]:
        """Events of one answer, exactly one of them terminal. Closing it cancels."""

    async def cancel(self, request_id: str) -> None:
        """Ask for the end of an answer; its events end with reason ``cancelled``."""

    async def pause(self, request_id: str) -> None:
        """Spend no time on an answer until it is resumed or cancelled."""

    async def resume(self, request_id: str) -> None:
        """Go on with a paused answer."""
