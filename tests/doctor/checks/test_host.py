"""The machine's checks, on machines that have each fault and on those that do not."""

from __future__ import annotations

from collections.abc import Callable
from os import statvfs_result
from typing import Any

import pytest

Status = Callable[[str, Any], str]


def test_memory_that_does_not_hold_the_model(machine: Any, status: Status) -> None:
    assert status("host.memory", machine) == "pass"
    machine.write("/proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable: 300000 kB\n")
    assert status("host.memory", machine) == "fail"


def test_a_loaded_model_needs_no_more_memory(served: Any, status: Status) -> None:
    served.write("/proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable: 300000 kB\n")
    assert status("host.memory", served) == "pass"


def test_the_containers_limit_counts_too(machine: Any, outcome: Any) -> None:
    machine.write("/sys/fs/cgroup/memory.max", str(400 * 2**20))
    machine.write("/sys/fs/cgroup/memory.current", str(100 * 2**20))
    found = outcome("host.memory", machine)
    assert found.status == "fail"
    assert found.evidence[0].source == "cgroup memory limit"


def test_a_kernel_that_does_not_tell_is_no_fault(machine: Any, status: Status) -> None:
    machine.write("/proc/meminfo", "")
    assert status("host.memory", machine) == "skip"
    assert status("host.memory_pressure", machine) == "skip"
    assert status("host.cpu_governor", machine) == "skip"


def test_a_worker_that_the_kernel_killed(with_worker: Any, status: Status) -> None:
    assert status("host.oom_kills", with_worker()) == "pass"


def test_a_worker_that_the_kernel_killed_is_told(with_worker: Any, status: Status) -> None:
    dead = with_worker(phase="failed", error={"fault": "oom-killed", "found": "SIGKILL"})
    assert status("host.oom_kills", dead) == "fail"


@pytest.mark.parametrize(("free_mb", "expected"), [(9000, "pass"), (300, "warn"), (10, "fail")])
def test_disk_space(
    machine: Any, status: Status, free_mb: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = statvfs_result((4096, 4096, 10**7, free_mb * 244, free_mb * 244, 100, 50, 50, 0, 255))
    monkeypatch.setattr(machine, "statvfs", lambda _path: state)
    assert status("host.disk_space", machine) == expected


def test_no_free_inode(machine: Any, status: Status, monkeypatch: pytest.MonkeyPatch) -> None:
    state = statvfs_result((4096, 4096, 10**7, 10**6, 10**6, 100, 0, 0, 0, 255))
    monkeypatch.setattr(machine, "statvfs", lambda _path: state)
    assert status("host.inodes", machine) == "fail"


def test_a_low_limit_of_open_files(machine: Any, status: Status) -> None:
    assert status("host.open_files", machine) == "pass"
    machine.write("/proc/self/limits", "Max open files            64         64         files\n")
    assert status("host.open_files", machine) == "fail"


def test_no_room_for_threads(machine: Any, status: Status) -> None:
    assert status("host.processes", machine) == "pass"
    machine.write("/sys/fs/cgroup/pids.max", "100")
    machine.write("/sys/fs/cgroup/pids.current", "99")
    assert status("host.processes", machine) == "warn"


@pytest.mark.parametrize(
    ("governor", "driver", "expected"),
    [
        ("performance", "acpi-cpufreq", "pass"),
        ("powersave", "intel_pstate", "pass"),  # that driver's ordinary mode
        ("powersave", "acpi-cpufreq", "fail"),
    ],
)
def test_power_saving(
    machine: Any, status: Status, governor: str, driver: str, expected: str
) -> None:
    base = "/sys/devices/system/cpu/cpu0/cpufreq"
    machine.write(f"{base}/scaling_governor", governor)
    machine.write(f"{base}/scaling_driver", driver)
    assert status("host.cpu_governor", machine) == expected


def test_a_clock_in_the_past(machine: Any, status: Status) -> None:
    assert status("host.clock", machine) == "pass"
    machine.clock = 0.0
    assert status("host.clock", machine) == "fail"


@pytest.mark.parametrize(
    ("locale", "expected"),
    [("C.UTF-8", "pass"), ("zh_CN.utf8", "pass"), ("C", "pass"), ("zh_CN.GBK", "fail")],
)
def test_text_encoding(make_machine: Any, status: Status, locale: str, expected: str) -> None:
    assert status("host.locale", make_machine({"LC_ALL": locale})) == expected


def test_memory_pressure(machine: Any, status: Status) -> None:
    machine.write("/proc/pressure/memory", "some avg10=50.0 x\nfull avg10=40.00 avg60=1 avg300=1\n")
    assert status("host.memory_pressure", machine) == "warn"


def test_a_missing_temporary_folder(make_machine: Any, status: Status) -> None:
    assert status("host.temporary_folder", make_machine()) == "pass"
    assert status("host.temporary_folder", make_machine({"TMPDIR": "/no/such"})) == "fail"


def test_another_machine_has_no_local_checks(make_machine: Any, status: Status) -> None:
    assert status("host.local", make_machine(url="http://192.0.2.7:8000")) == "skip"
    assert status("host.local", make_machine(url="http://127.0.0.1:8000")) == "pass"
    assert status("host.local", make_machine(host="0.0.0.0")) == "pass"  # noqa: S104  made up


@pytest.mark.parametrize(
    "name", ["swap", "cpu_steal", "cpu_thermal", "huge_pages", "load", "glibc"]
)
def test_a_quiet_machine_raises_nothing(machine: Any, status: Status, name: str) -> None:
    assert status(f"host.{name}", machine) in ("pass", "skip")
