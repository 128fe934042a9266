"""Limits are found in both versions, wherever they are set."""

from pathlib import Path

import pytest

from qwell.backends import cgroup


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="ascii")
    return root


V2 = {"proc/self/cgroup": "0::/pod/app"}
V1 = {"proc/self/cgroup": "4:memory:/docker/1\n3:cpu,cpuacct:/docker/1\n1:name=systemd:/"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        (V2 | {"sys/fs/cgroup/pod/app/cpu.max": "max 100000"}, None),
        (V2 | {"sys/fs/cgroup/pod/app/cpu.max": "150000 100000"}, 1.5),
        (V2 | {"sys/fs/cgroup/pod/cpu.max": "50000 100000"}, 0.5),
        (
            V2
            | {
                "sys/fs/cgroup/pod/app/cpu.max": "400000 100000",
                "sys/fs/cgroup/pod/cpu.max": "200000 100000",
            },
            2.0,
        ),
        # inside a container: its own group is the mount
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "200000 100000"}, 2.0),
        (
            V1
            | {
                "sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us": "250000",
                "sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us": "100000",
            },
            2.5,
        ),
        (
            V1
            | {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            None,
        ),
    ],
)
def test_cpu_quota(tmp_path: Path, files: dict[str, str], expected: float | None) -> None:
    assert cgroup.cpu_quota(write(tmp_path, files)) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        (V2 | {"sys/fs/cgroup/pod/app/memory.max": "max"}, None),
        (V2 | {"sys/fs/cgroup/pod/app/memory.max": "2147483648"}, 2**31),
        (
            V2
            | {
                "sys/fs/cgroup/pod/app/memory.max": "max",
                "sys/fs/cgroup/pod/memory.max": "1073741824",
            },
            2**30,
        ),
        (V1 | {"sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824"}, 2**30),
        (V1 | {"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"}, None),
    ],
)
def test_memory_limit(tmp_path: Path, files: dict[str, str], expected: int | None) -> None:
    assert cgroup.memory_limit(write(tmp_path, files)) == expected


def test_pages_of_files_that_can_be_dropped_do_not_count_as_used(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/pod/app/memory.current": "1000",
        "sys/fs/cgroup/pod/app/memory.stat": "anon 300\ninactive_file 600",
    }
    assert cgroup.memory_used(write(tmp_path, V2 | files)) == 400


def test_out_of_memory_kills_are_counted(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/pod/app/memory.events": "low 0\noom 3\noom_kill 2",
        "proc/vmstat": "nr_free_pages 5\noom_kill 1",
    }
    assert cgroup.oom_kills(write(tmp_path, V2 | files)) == 3
    assert cgroup.oom_kills(tmp_path / "nothing here") == 0


def test_this_machine_can_be_read() -> None:
    assert cgroup.oom_kills() >= 0
    assert cgroup.memory_used() >= 0
