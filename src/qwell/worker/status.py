"""What the parent knows about its child. Plain data; knows nothing of processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from qwell.errors import QwellError

Phase = Literal["starting", "loading", "ready", "failed", "restarting", "stopped"]


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A snapshot; the supervisor replaces it as a whole.

    model       what is really served (name, quant, engine, threads ...); empty until ready
    error       why the phase is failed, or what ended the last child
    last_words  the end of what the last dead child wrote to its log
    restarts    children started after the first
    steps       engine steps of the present child, from its last beat; running, waiting likewise
    """

    phase: Phase = "starting"
    progress: float = 0.0
    stage: str = ""
    model: Mapping[str, Any] = field(default_factory=dict)
    error: QwellError | None = None
    last_words: str = ""
    pid: int | None = None
    restarts: int = 0
    steps: int = 0
    running: int = 0
    waiting: int = 0
