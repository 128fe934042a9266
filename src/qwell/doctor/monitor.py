"""From a row of findings to an alarm: twice bad raises it, twice good ends it.

Pure. Which checks are watched, and how patiently, is here; running them is the server's work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from qwell.doctor.finding import Finding, Status

Turn = Literal["raise", "still", "clear"]


@dataclass(frozen=True, slots=True)
class Watched:
    """A check that is run again and again.

    raise_after  bad findings in a row until it is an incident
    clear_after  good ones in a row until that is over
    part_of      the check whose incident this one belongs to: one happening is told once
    """

    check: str
    raise_after: int = 2
    clear_after: int = 2
    part_of: str = ""

    @property
    def incident(self) -> str:
        """The check under whose name its incident is kept."""
        return self.part_of or self.check


WATCHED = (
    Watched("engine.worker", raise_after=1),
    Watched("engine.responsive", raise_after=1),
    Watched("engine.stable", raise_after=1, part_of="engine.worker"),
    Watched("engine.instructions", raise_after=1),
    Watched("engine.accepts_model", raise_after=1),
    Watched("engine.load_time"),
    Watched("engine.queue", raise_after=3),
    Watched("engine.abandoned", raise_after=3),
    Watched("engine.speed"),
    Watched("engine.first_token"),
    Watched("engine.same_answer"),
    Watched("host.oom_kills", raise_after=1),
    Watched("host.memory"),
    Watched("host.memory_pressure", raise_after=3),
    Watched("host.swap", raise_after=3),
    Watched("host.disk_space"),
    Watched("host.inodes"),
    Watched("host.open_files"),
    Watched("container.cpu_throttling", raise_after=3, clear_after=3),
    Watched("api.storing", raise_after=1),
    Watched("api.loop_lag", raise_after=3),
    Watched("dialogue.trims"),
    Watched("dialogue.repeats"),
    Watched("dialogue.garbled"),
    Watched("dialogue.boilerplate"),
)


_INCIDENTS = {watched.check: watched.incident for watched in WATCHED}


def incident_of(check: str) -> str:
    """The check under whose name incidents of this one are kept."""
    return _INCIDENTS.get(check, check)


class Hysteresis:
    """The state of one watched check. Skips and errors change nothing: they tell nothing."""

    def __init__(self, watched: Watched, *, is_raised: bool = False) -> None:
        self._watched = watched
        self.is_raised = is_raised
        self._in_a_row = 0
        self._was_bad = False

    def note(self, finding: Finding) -> Turn | None:
        """What this finding changes; "still" for a raised one that goes on."""
        if finding.status in (Status.SKIP, Status.ERROR):
            return None
        is_bad = finding.status in (Status.WARN, Status.FAIL)
        self._in_a_row = self._in_a_row + 1 if is_bad is self._was_bad else 1
        self._was_bad = is_bad
        if is_bad and self.is_raised:
            return "still"
        if is_bad and self._in_a_row >= self._watched.raise_after:
            self.is_raised = True
            return "raise"
        if not is_bad and self.is_raised and self._in_a_row >= self._watched.clear_after:
            self.is_raised = False
            return "clear"
        return None
