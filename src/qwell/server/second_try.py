"""Loads the model again when what lies in its place changes after loading had failed.

A folder that is mounted, filled or repaired later needs no restart of the server. Knows nothing of
why loading failed, and does not judge what lies there: the worker does.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from qwell.doctor.model_files import listing, model_place
from qwell.doctor.system import System
from qwell.server.self_view import SelfView

EVERY_S = 1.0
log = logging.getLogger("qwell.server.model")
Contents = frozenset[tuple[str, int, int]]  # name, bytes, time of change in ns


class SecondTry:
    """restart: begins to load. Waits until nothing changes any more: copying takes its time."""

    def __init__(self, view: SelfView, restart: Callable[[], Awaitable[None]]) -> None:
        self._view = view
        self._restart = restart
        self._refused: Contents | None = None  # with what loading failed
        self._last: Contents | None = None

    async def keep_looking(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            await self.tick()

    async def tick(self) -> None:
        """One look, while the worker has given up."""
        if self._view.worker.status.phase != "failed":
            self._refused = None
            return
        now = await asyncio.to_thread(contents, System(self._view.settings))
        is_still, self._last = now == self._last, now
        if self._refused is None:
            self._refused = now
        elif now != self._refused and is_still:
            log.info("the model's place has changed: loading again", extra={"files": len(now)})
            self._refused = None
            await self._restart()


def contents(system: System) -> Contents:
    """Of the place that the settings mean; empty where there is none."""
    path = model_place(system).path
    parts = listing(path) if path is not None else []
    states = [(part.name, stat) for part in parts if (stat := _stat(part)) is not None]
    return frozenset((name, stat.st_size, stat.st_mtime_ns) for name, stat in states)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:  # it went, or points nowhere
        return None
