"""Tells busy from hung by the child's beats. Counts ticks, knows no clock.

Ticks instead of seconds: a parent that was itself suspended or blocked ticks once afterwards
and does not take the time it slept for its child's silence.
"""

from __future__ import annotations

from typing import Literal


class Watchdog:
    """Call `tick` once a second and `beat` for each beat.

    max_silent_ticks  ticks without a beat until the child counts as frozen
    max_step_ticks    ticks with work but without a finished step until it counts as stuck
    """

    def __init__(self, max_silent_ticks: int, max_step_ticks: int) -> None:
        self._max_silent_ticks = max_silent_ticks
        self._max_step_ticks = max_step_ticks
        self._silent_ticks = 0
        self._stuck_ticks = 0
        self._step = -1
        self._busy = False

    def beat(self, step: int, running: int) -> None:
        self._silent_ticks = 0
        if step != self._step or running == 0:
            self._stuck_ticks = 0
        self._step, self._busy = step, running > 0

    def tick(self) -> Literal["", "no-beats", "no-steps"]:
        """Why the child counts as hung, or "" while it does not."""
        self._silent_ticks += 1
        self._stuck_ticks += self._busy
        if self._silent_ticks > self._max_silent_ticks:
            return "no-beats"
        if self._stuck_ticks > self._max_step_ticks:
            return "no-steps"
        return ""
