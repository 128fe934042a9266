"""Lanes: tasks side by side, each lane with patients of its own.

Most of a scenario is waiting: for a server to start, for a time-out, for a cure to be felt. Knows
nothing of what a task is; what others would feel goes alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Event

from qwell.lab.leftovers import Run
from qwell.lab.ward import Ward

Task = Callable[[Ward], None]
_MOST = 4


def usual_lanes() -> int:
    """One more than there are CPUs: somebody always waits."""
    return min(_MOST, len(os.sched_getaffinity(0)) + 1)


class Lanes:
    """As many wards, of which a task has one for itself while it lasts."""

    def __init__(self, run: Run, n_lanes: int) -> None:
        self._wards = [Ward(run, f"lane-{number}-") for number in range(n_lanes)]

    @property
    def first(self) -> Ward:
        """For what goes alone."""
        return self._wards[0]

    def alone(self, tasks: Iterable[Task]) -> None:
        """One after the other."""
        for task in tasks:
            task(self.first)

    def abreast(self, tasks: Iterable[Task]) -> None:
        """Begun in this order, each in a lane that is free. Raises what a task raises."""
        free: SimpleQueue[Ward] = SimpleQueue()
        for ward in self._wards:
            free.put(ward)
        is_over = Event()  # after a bug, or Ctrl-C: nothing new begins

        def run(task: Task) -> None:
            if is_over.is_set():
                return
            ward = free.get()
            try:
                task(ward)
            except BaseException:
                is_over.set()
                raise
            finally:
                free.put(ward)

        with ThreadPoolExecutor(len(self._wards)) as pool:
            begun = [pool.submit(run, task) for task in tasks]
            try:
                for future in begun:
                    future.result()
            finally:
                is_over.set()

    def close(self) -> None:
        for ward in self._wards:
            ward.close()


@contextmanager
def open_lanes(run: Run, n_lanes: int) -> Iterator[Lanes]:
    """Their patients are stopped afterwards."""
    lanes = Lanes(run, n_lanes)
    try:
        yield lanes
    finally:
        lanes.close()
