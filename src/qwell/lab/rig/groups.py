"""Control groups with limits, of either version. Needs root and a writable hierarchy."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from qwell.lab.case import NotInjected
from qwell.lab.leftovers import Run, end_cgroup

ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Group:
    folder: Path

    def take(self, pids: Iterable[int]) -> None:
        """Move whole processes into the group, with what they start from now on."""
        for pid in pids:
            (self.folder / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="ascii")

    def prefix(self) -> tuple[str, ...]:
        """A command that runs what follows it inside the group."""
        script = f'echo $$ > {self.folder}/cgroup.procs && exec "$@"'
        return ("sh", "-c", script, "sh")


@contextlib.contextmanager
def memory_group(run: Run, limit_bytes: int) -> Iterator[Group]:
    """Not more memory than this; what is in it when the block ends goes back to the root."""
    names = ("memory.max",) if _is_unified() else ("memory.limit_in_bytes",)
    with _group(run, "memory", {name: str(limit_bytes) for name in names}) as group:
        yield group


@contextlib.contextmanager
def cpu_group(run: Run, share: float) -> Iterator[Group]:
    """So much of one CPU, in periods of 100 ms."""
    quota = int(share * 100_000)
    wanted = (
        {"cpu.max": f"{quota} 100000"}
        if _is_unified()
        else {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": str(quota)}
    )
    with _group(run, "cpu", wanted) as group:
        yield group


@contextlib.contextmanager
def _group(run: Run, controller: str, limits: dict[str, str]) -> Iterator[Group]:
    base = ROOT if _is_unified() else ROOT / controller
    folder = base / f"qwell-lab-{os.getpid()}-{controller}"
    run.note("cgroup", str(folder))
    try:
        if _is_unified():
            (base / "cgroup.subtree_control").write_text(f"+{controller}", encoding="ascii")
        folder.mkdir()
        for name, value in limits.items():
            (folder / name).write_text(value, encoding="ascii")
    except OSError as error:
        end_cgroup(str(folder))
        raise NotInjected(f"no right to make control groups here: {error}") from error
    try:
        yield Group(folder)
    finally:
        end_cgroup(str(folder))


def _is_unified() -> bool:
    return (ROOT / "cgroup.controllers").exists()
