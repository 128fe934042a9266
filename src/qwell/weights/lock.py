"""One process at a time in a folder. Knows nothing of what is done there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qwell.weights.progress import Progress, Report, Stage


@contextmanager
def alone_in(folder: Path, stage: Stage, report: Report) -> Iterator[None]:
    """Wait until no other process is in the folder. The kernel frees the lock of one that dies."""
    from filelock import FileLock, Timeout  # not at each start: there is mostly nothing to write

    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report(Progress(stage, 0, 0, "waiting: another process is at work here"))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
