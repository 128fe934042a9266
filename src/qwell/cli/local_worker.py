"""A worker for the terminal: the engine's process without a server, called from plain code.

Knows requests and events, not what is shown of them.
"""

from __future__ import annotations

import asyncio
import queue
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from qwell.config import Settings
from qwell.core import Event, Message, Request, is_terminal

if TYPE_CHECKING:
    from qwell.worker.supervisor import Supervisor


class LocalWorker:
    """A supervisor on a loop of its own thread, so that the terminal may block here."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._n_requests = 0
        self._supervisor: Supervisor | None = None

    def __enter__(self) -> Self:
        """Raises QwellError when the model cannot be loaded."""
        self._thread.start()
        try:
            self._call(self._start()).result()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._supervisor is not None:
            self._call(self._supervisor.stop(grace_s=0)).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def answer(self, history: list[Message]) -> Iterator[Event]:
        """Events up to the terminal one. Ctrl-C stops the answer, whose end still follows."""
        self._n_requests += 1
        request = Request(id=f"chat-{self._n_requests}", messages=tuple(history))
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._call(self._forward(request, events))
        with _on_interrupt(lambda: self._call(self._cancel(request.id))):
            while True:
                event = events.get()
                yield event
                if is_terminal(event):
                    return

    async def _start(self) -> None:
        from qwell.cli.progress import watch_loading
        from qwell.worker.supervisor import Supervisor

        self._supervisor = Supervisor(self._settings)
        await self._supervisor.start()
        await watch_loading(self._supervisor)
        if self._supervisor.status.error is not None:
            raise self._supervisor.status.error

    async def _forward(self, request: Request, events: queue.SimpleQueue[Event]) -> None:
        assert self._supervisor is not None
        async for event in self._supervisor.submit(request):
            events.put(event)

    async def _cancel(self, request_id: str) -> None:
        assert self._supervisor is not None
        await self._supervisor.cancel(request_id)

    def _call(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)


@contextmanager
def _on_interrupt(act: Callable[[], object]) -> Iterator[None]:
    """Ctrl-C acts instead of raising, wherever it comes: waiting or printing."""
    before = signal.signal(signal.SIGINT, lambda *_: act() and None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
