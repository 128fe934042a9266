"""Threads follow cores, affinity and quota, in this order."""

import os
from pathlib import Path

import pytest

from qwell.backends.threads import default_threads


def machine(root: Path, siblings: dict[int, str], quota: str = "max 100000") -> Path:
    for cpu, group in siblings.items():
        folder = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(group + "\n", encoding="ascii")
    (root / "sys/fs/cgroup").mkdir(parents=True)
    (root / "sys/fs/cgroup/cpu.max").write_text(quota, encoding="ascii")
    return root


HYPER = {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}
PLAIN = {0: "0", 1: "1", 2: "2", 3: "3"}


@pytest.mark.parametrize(
    ("siblings", "cpus", "quota", "count"),
    [
        (PLAIN, {0, 1, 2, 3}, "max 100000", 4),
        (HYPER, {0, 1, 2, 3}, "max 100000", 2),
        (HYPER, {0, 2}, "max 100000", 1),
        (PLAIN, {1, 3}, "max 100000", 2),
        (PLAIN, {0, 1, 2, 3}, "250000 100000", 2),
        (PLAIN, {0, 1, 2, 3}, "50000 100000", 1),
        (HYPER, {0, 1, 2, 3}, "800000 100000", 2),
        ({}, {0, 1}, "max 100000", 2),
    ],
)
def test_count(
    tmp_path: Path, siblings: dict[int, str], cpus: set[int], quota: str, count: int
) -> None:
    assert default_threads(machine(tmp_path, siblings, quota), cpus, {}).count == count


def test_the_reason_names_what_decided(tmp_path: Path) -> None:
    threads = default_threads(machine(tmp_path, PLAIN, "150000 100000"), {0, 1}, {})
    assert threads.why == "cgroup quota of 1.5 CPUs"


def test_on_this_machine() -> None:
    assert 1 <= default_threads(environ={}).count <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("value", "count"), [("3", 3), ("0", 2), ("many", 2), ("", 2)])
def test_the_usual_variable_is_honoured(tmp_path: Path, value: str, count: int) -> None:
    root = machine(tmp_path, HYPER)
    assert default_threads(root, {0, 1, 2, 3}, {"OMP_NUM_THREADS": value}).count == count
