"""What a process takes, read from /proc. Knows nothing of what it is for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Usage:
    rss_mib: float
    n_fds: int
    n_threads: int


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Of one thread: seconds that it ran, and that it wanted to but found no processor free."""

    ran_s: float
    waited_s: float

    def __sub__(self, earlier: CpuTimes) -> CpuTimes:
        return CpuTimes(self.ran_s - earlier.ran_s, self.waited_s - earlier.waited_s)


def cpu_times(pid: int) -> CpuTimes:
    """Of the main thread of a process, or of the thread with this id."""
    ran, waited, _ = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()
    return CpuTimes(int(ran) / 1e9, int(waited) / 1e9)


def cpu_s(pid: int) -> float:
    """Seconds of processor time that all threads of a process took so far."""
    return sum(cpu_times(int(task.name)).ran_s for task in Path(f"/proc/{pid}/task").iterdir())


def usage(pid: int) -> Usage:
    """Raises FileNotFoundError when there is no such process (any more)."""
    process = Path(f"/proc/{pid}")
    fields = dict(
        line.split(":", 1)
        for line in (process / "status").read_text(encoding="ascii", errors="replace").splitlines()
    )
    return Usage(
        rss_mib=int(fields["VmRSS"].split()[0]) / 1024,
        n_fds=len(os.listdir(process / "fd")),  # noqa: PTH208  only their number matters
        n_threads=int(fields["Threads"]),
    )


def children(pid: int) -> list[int]:
    """Living or unreaped children of all its threads."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return sorted(int(child) for each in lists for child in each.read_text().split())
