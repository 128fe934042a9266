"""How a stream of numbered frames, sent at a fixed pace, arrives.

Knows the self-test's route and nothing of who delays the frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qwell.doctor.answer import Answer, Frame

if TYPE_CHECKING:
    from qwell.doctor.system import System

N_FRAMES = 8
EVERY_MS = 60


@dataclass(frozen=True, slots=True)
class Pacing:
    head: Answer
    frames: list[Frame]
    error: str = ""


def measure_pacing(system: System, *, again: bool = False) -> Pacing:
    """One measurement for all checks of a run, and a second one when asked again."""
    return system.once(f"pacing {again}", lambda: _measure(system))


def _measure(system: System) -> Pacing:
    path = f"/api/selftest/stream?n={N_FRAMES}&every_ms={EVERY_MS}"
    try:
        head, frames = system.frames(path, timeout_s=6.0)
    except OSError as error:
        return Pacing(Answer(0, {}), [], str(error))
    return Pacing(head, frames)


def spread(pacing: Pacing) -> float:
    """Time from first to last frame, as a share of what it was at the sender: 1 live, 0 held."""
    if len(pacing.frames) < 2:
        return 0.0
    sent_s = (len(pacing.frames) - 1) * EVERY_MS / 1e3
    return (pacing.frames[-1].at_s - pacing.frames[0].at_s) / sent_s
