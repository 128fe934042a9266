"""What the kernel grants one process: CPU time and memory, cgroup version 2 and 1.

Read here a second time, beside what the worker computes for itself: a doctor that shared the
patient's arithmetic could not find a mistake in it. Knows no files beyond the reader given to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

_NO_LIMIT = 2**60  # version 1 writes "no limit" as a number close to 2**63
Read = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Throttling:
    """Scheduler periods in which the group wanted to run, and those in which it was stopped."""

    periods: int
    throttled: int


class Cgroup:
    """The groups of one process. process: a number, or "self"."""

    def __init__(self, read: Read, process: str) -> None:
        self._read = read
        self._groups = self._own_groups(read(f"/proc/{process}/cgroup") or "")

    def cpu_quota(self) -> float | None:
        """CPUs' worth of time, or None when nothing limits it."""
        quotas = []
        for folder, text in self._values("cpu.max", "cpu", "cpu.cfs_quota_us"):
            words = text.split()
            period = words[1] if len(words) > 1 else self._read(f"{folder}/cpu.cfs_period_us")
            if words and words[0] not in ("max", "-1") and period and int(period) > 0:
                quotas.append(int(words[0]) / int(period))
        return min(quotas, default=None)

    def memory_limit(self) -> int | None:
        """Bytes, or None when nothing limits them."""
        texts = self._values("memory.max", "memory", "memory.limit_in_bytes")
        limits = [int(text) for _, text in texts if text.strip() != "max"]
        return min((limit for limit in limits if limit < _NO_LIMIT), default=None)

    def memory_used(self) -> int:
        """Bytes that the kernel cannot simply drop; 0 when unknown."""
        for folder, text in self._values("memory.current", "memory", "memory.usage_in_bytes"):
            stat = _pairs(self._read(f"{folder}/memory.stat") or "")
            droppable = stat.get("inactive_file", stat.get("total_inactive_file", 0))
            return max(0, int(text) - droppable)
        return 0

    def oom_kills(self) -> int | None:
        """Processes of the group that the kernel killed for lack of memory; None when unknown."""
        for _, text in self._values("memory.events", "memory", "memory.oom_control"):
            return _pairs(text).get("oom_kill")
        return None

    def throttling(self) -> Throttling | None:
        """Since the group exists; None where nothing limits CPU time."""
        for _, text in self._values("cpu.stat", "cpu", "cpu.stat"):
            stat = _pairs(text)
            if stat.get("nr_periods"):
                return Throttling(stat["nr_periods"], stat.get("nr_throttled", 0))
        return None

    def processes(self) -> tuple[int, int] | None:
        """Processes and threads in the group, and how many may be; None where unlimited."""
        for folder, text in self._values("pids.max", "pids", "pids.max"):
            if text.strip() != "max":
                return int(self._read(f"{folder}/pids.current") or 0), int(text)
        return None

    @staticmethod
    def _own_groups(table: str) -> dict[str, str]:
        """Path of the group by controller; "" is version 2."""
        rows = [line.split(":", 2) for line in table.splitlines() if line.count(":") >= 2]
        return {name: path for _, names, path in rows for name in names.split(",")}

    def _values(self, v2: str, controller: str, v1: str) -> Iterator[tuple[str, str]]:
        """Folder and content of the file, own group first, then its ancestors.

        In a container without its own namespace the group's path does not exist below the mount,
        which then is the container's own group: folders that are missing yield nothing.
        """
        mount = "/sys/fs/cgroup"
        yield from self._up(mount, self._groups.get("", "/"), v2)
        yield from self._up(f"{mount}/{controller}", self._groups.get(controller, "/"), v1)

    def _up(self, mount: str, group: str, name: str) -> Iterator[tuple[str, str]]:
        own = PurePosixPath(group.lstrip("/"))
        for part in (own, *own.parents):
            folder = str(PurePosixPath(mount) / part)
            if (text := self._read(f"{folder}/{name}")) is not None:
                yield folder, text


def _pairs(text: str) -> dict[str, int]:
    rows = [line.split() for line in text.splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdecimal()}
