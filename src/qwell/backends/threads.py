"""How many compute threads pay: physical cores within affinity and cgroup quota.

Two threads on one core share its vector units, so hyper-threads only add waiting. Reads files
only; knows nothing of the engine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qwell.backends import cgroup


@dataclass(frozen=True, slots=True)
class Threads:
    """A count and the reason for it, in words for the banner."""

    count: int
    why: str


def physical_cores(cpus: set[int], root: Path = Path("/")) -> int:
    """Cores behind these logical CPUs; a CPU of unknown topology counts as its own core."""
    cores = set()
    for cpu in cpus:
        siblings = root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        try:
            cores.add(siblings.read_text(encoding="ascii").strip())
        except OSError:
            cores.add(f"cpu{cpu}")
    return len(cores)


def default_threads(
    root: Path = Path("/"),
    cpus: set[int] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Threads:
    """At least 1. cpus: logical CPUs this process may run on; None asks the kernel."""
    wanted = environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return Threads(int(wanted), "OMP_NUM_THREADS")
    usable = os.sched_getaffinity(0) if cpus is None else cpus
    cores = physical_cores(usable, root)
    quota = cgroup.cpu_quota(root)
    if quota is not None and quota < cores:
        return Threads(max(1, int(quota)), f"cgroup quota of {quota:g} CPUs")
    return Threads(max(1, cores), f"{cores} physical of {len(usable)} logical CPUs")
