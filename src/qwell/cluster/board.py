"""Where engines write how they are, and fronts read it. Knows no network and no Ray.

An engine that has not written for a while is gone, however it went.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qwell.errors import QwellError
from qwell.worker.status import Phase, WorkerStatus

POST_EVERY_S = 1.0
FORGET_AFTER_S = 5.0
# the first of them that any engine is in is the phase of all together
_BEST_FIRST: tuple[Phase, ...] = ("ready", "loading", "restarting", "starting", "failed", "stopped")


class Board:
    """clock: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._notes: dict[str, tuple[float, Mapping[str, Any]]] = {}

    def post(self, engine: str, note: Mapping[str, Any]) -> None:
        self._notes[engine] = (self._clock(), note)

    def remove(self, engine: str) -> None:
        """An engine that leaves in order."""
        self._notes.pop(engine, None)

    def read(self) -> dict[str, Mapping[str, Any]]:
        """What each engine that is alive has written last."""
        oldest = self._clock() - FORGET_AFTER_S
        self._notes = {name: it for name, it in self._notes.items() if it[0] >= oldest}
        return {name: {**note, "engine": name} for name, (_, note) in self._notes.items()}


def note_of(status: WorkerStatus) -> dict[str, Any]:
    """An engine's note: JSON-ready."""
    return {
        "phase": status.phase,
        "progress": status.progress,
        "model": dict(status.model),
        "error": status.error.to_dict() if status.error else None,
        "restarts": status.restarts,
        "running": status.running,
        "waiting": status.waiting,
    }


def together(notes: Sequence[Mapping[str, Any]]) -> WorkerStatus:
    """All engines as the one worker that a front sees: the best of them, with all their slots."""
    if not notes:
        return WorkerStatus(phase="starting")
    best = min(notes, key=lambda note: _BEST_FIRST.index(note["phase"]))
    error = best["error"]
    ready = [note for note in notes if note["phase"] == "ready"]
    model = dict(best["model"])
    if ready:
        model["n_slots"] = sum(int(note["model"].get("n_slots", 1)) for note in ready)
        model["n_engines"] = len(ready)
    return WorkerStatus(
        phase=best["phase"],
        progress=best["progress"],
        model=model,
        error=QwellError.from_dict(error) if error else None,
        restarts=sum(note["restarts"] for note in notes),
        running=sum(note["running"] for note in notes),
        waiting=sum(note["waiting"] for note in notes),
    )
