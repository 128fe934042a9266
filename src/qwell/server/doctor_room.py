"""What the doctor's routes share: the server's view of itself, incidents, journal, hands.

Knows no HTTP.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from qwell.config import Settings
from qwell.doctor import consult
from qwell.doctor.actions import Hands, Impossible
from qwell.doctor.finding import Finding
from qwell.doctor.incident import Incidents
from qwell.doctor.journal import Journal
from qwell.doctor.system import System
from qwell.server.monitors import Monitors
from qwell.server.second_try import SecondTry
from qwell.server.self_view import SelfView
from qwell.server.streams import Streams
from qwell.server.worker_protocol import Worker
from qwell.store import StoreKeeper

RESTART_S = 120.0  # until a treatment stops waiting for the worker to go


class DoctorRoom:
    """One per server. examining and treating: one at a time, whoever asks."""

    def __init__(
        self, settings: Settings, worker: Worker, streams: Streams, keeper: StoreKeeper
    ) -> None:
        self.view = SelfView(settings, worker, streams, keeper)
        self.keeper = keeper
        self.incidents = Incidents(settings.data_path)
        self.journal = Journal(settings.data_path)
        self.examining = asyncio.Lock()
        self.treating = asyncio.Lock()
        streams.watchers.append(self.view.answer_ended)

    def look(self) -> System:
        """The machine and this server, as they are now."""
        return System(self.view.settings)

    def hands(self) -> Hands:
        """For a thread of its own; to be made on the event loop."""
        return _ServerHands(asyncio.get_running_loop(), self.view)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """While the block runs, monitors open and close incidents, and a mended model is loaded."""
        looking = asyncio.create_task(SecondTry(self.view, self._load_again).keep_looking())
        try:
            async with Monitors(self.view, self.incidents, _fault_of).running():
                yield
        finally:
            looking.cancel()
            await asyncio.wait([looking])

    async def _load_again(self) -> None:
        async with self.treating:
            await restarted(self.view, {})


def _fault_of(finding: Finding) -> str:
    """The fault that a finding alone speaks for; the server's own word where it gives one."""
    named = str(finding.facts().get("fault", ""))
    return named or consult.likeliest(finding)


class _ServerHands:
    """Restarts the worker on the event loop, for a thread that treats."""

    def __init__(self, loop: asyncio.AbstractEventLoop, view: SelfView) -> None:
        self._loop = loop
        self._view = view

    def restart_worker(self, changes: Mapping[str, Any]) -> None:
        """Raises Impossible when it does not come back in time."""
        running = asyncio.run_coroutine_threadsafe(restarted(self._view, changes), self._loop)
        try:
            running.result(RESTART_S)
        except TimeoutError:
            raise Impossible(f"the worker did not end within {RESTART_S:g} s") from None


async def restarted(view: SelfView, changes: Mapping[str, Any]) -> None:
    """The worker starts anew, with these settings changed; it loads by itself from then on."""
    known = {field.name for field in dataclasses.fields(Settings)}
    wanted = {name: value for name, value in changes.items() if name in known}
    view.settings = dataclasses.replace(view.settings, **wanted)
    view.worker.configure(view.settings)
    await view.worker.stop(0)
    await view.worker.start()
