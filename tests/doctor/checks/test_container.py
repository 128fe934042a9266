"""Mounts, rights, ports and limits of a container."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qwell.doctor.checks import container

Status = Callable[[str, Any], str]


def test_an_empty_mount(machine: Any, status: Status) -> None:
    assert status("container.model_mounted", machine) == "pass"
    (machine.root / "app" / "model").mkdir(parents=True)
    assert status("container.model_mounted", machine) == "fail"


def test_a_folder_where_a_file_was_meant(make_machine: Any, status: Status, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").mkdir()
    machine = make_machine(model=str(tmp_path / "model.gguf"))
    assert status("container.file_is_directory", machine) == "fail"


def test_an_empty_named_volume(machine: Any, outcome: Any) -> None:
    mount = machine.root / "app" / "model"
    mount.mkdir(parents=True)
    line = f"36 35 8:1 /var/lib/docker/volumes/models/_data {mount} rw - ext4 /dev/sda1 rw\n"
    machine.write("/proc/self/mountinfo", line)
    found = outcome("container.named_volume", machine)
    assert found.status == "fail"
    assert {e.key: e.value for e in found.evidence}["volume"] == "models"


def test_a_read_only_mount(machine: Any, status: Status, monkeypatch: pytest.MonkeyPatch) -> None:
    assert status("container.writable", machine) == "pass"
    monkeypatch.setattr(machine, "statvfs", lambda _path: SimpleNamespace(f_flag=os.ST_RDONLY))
    assert status("container.writable", machine) == "fail"


def test_no_right_to_write(machine: Any, status: Status, tmp_path: Path) -> None:
    assert status("container.permissions", machine) == "pass"
    (tmp_path / "data").mkdir()
    machine.denied.add(tmp_path / "data")
    assert status("container.permissions", machine) == "fail"


def test_a_user_without_home(make_machine: Any, status: Status) -> None:
    assert status("container.home", make_machine({"HOME": ""})) == "pass"  # folders are set


def test_selinux_against_the_file_modes(
    make_machine: Any, status: Status, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "m"
    model.mkdir(mode=0o755)
    machine = make_machine(model=str(model))
    machine.write("/sys/fs/selinux/enforce", "1")
    monkeypatch.setattr(container, "kind_of", lambda _path: "unreadable")
    assert status("container.selinux", machine) == "fail"


def listening(machine: Any, address: str, pid: int, command: str) -> None:
    machine.listeners = lambda _port: [
        SimpleNamespace(address=address, pid=pid, command=command, inode="1")
    ]


@pytest.mark.parametrize(
    ("address", "pid", "expected"),
    [("127.0.0.1", 1, "fail"), ("192.0.2.9", 1, "pass"), ("127.0.0.1", 77, "pass")],
)
def test_a_container_nobody_can_reach(
    machine: Any, status: Status, address: str, pid: int, expected: str
) -> None:
    """Process 77 runs beside whatever the container is for: somebody works in it."""
    listening(machine, address, pid, "qwell serve")
    machine.write("/proc/77/stat", "77 (python) S 50 50 0")
    assert status("container.bind_address", machine) == expected


def test_an_unpublished_port(machine: Any, status: Status) -> None:
    assert status("container.published_port", machine) == "skip"
    machine.programs["docker"] = (0, '{"Image":"qwell:1","Names":"chat","Ports":"8000/tcp"}\n')
    assert status("container.published_port", machine) == "fail"
    row = '{"Image":"qwell:1","Names":"chat","Ports":"0.0.0.0:8000->8000/tcp"}\n'
    machine.programs["docker"] = (0, row)
    assert status("container.published_port", machine) == "pass"


def test_a_memory_limit_below_the_need(machine: Any, status: Status) -> None:
    machine.write("/sys/fs/cgroup/memory.max", str(2**31))
    assert status("container.memory_limit", machine) == "pass"
    machine.write("/sys/fs/cgroup/memory.max", str(2**28))
    assert status("container.memory_limit", machine) == "fail"


def test_windows_line_endings(machine: Any, status: Status) -> None:
    machine.write("/app/start.sh", "#!/bin/sh\nexec qwell serve\n")
    assert status("container.start_script", machine) == "pass"
    (machine.root / "app/start.sh").write_bytes(b"#!/bin/sh\r\nexec qwell serve\r\n")
    assert status("container.start_script", machine) == "fail"


def test_the_architecture_of_a_library(tmp_path: Path) -> None:
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, 183)
    (tmp_path / "x.so").write_bytes(head)
    assert container._elf_machine(tmp_path / "x.so") == "aarch64"
    (tmp_path / "y.so").write_bytes(b"text")
    assert container._elf_machine(tmp_path / "y.so") == ""


def test_an_engine_built_for_another_machine(
    machine: Any, status: Status, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "_native.so"
    monkeypatch.setattr(container, "extension_path", lambda: str(library))
    for number, expected in ((183, "fail"), (62, "pass")):
        library.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, number))
        with monkeypatch.context() as own:
            own.setattr("platform.machine", lambda: "x86_64")
            assert status("container.architecture", machine) == expected


def test_another_service_on_localhost(make_machine: Any, status: Status) -> None:
    variable = "QWELL_DATABASE_URL"
    near = make_machine({variable: "postgresql://u:p@localhost:5432/chat"})
    assert status("container.calls_localhost", near) == "warn"
    other = make_machine({variable: "postgresql://u:p@db:5432/chat"})
    assert status("container.calls_localhost", other) == "pass"


def test_throttling_needs_a_quota_and_a_share(machine: Any, status: Status) -> None:
    assert status("container.cpu_throttling", machine) == "pass"


def test_without_a_worker_no_quota_is_called_fine(with_worker: Any, status: Status) -> None:
    """Its successor may be starting, under the same limit."""
    machine = with_worker(pid=4194304)  # of nobody
    assert status("container.cpu_throttling", machine) == "skip"


def test_a_worker_that_others_keep_busy_is_watched_for_some_periods(with_worker: Any) -> None:
    from qwell.doctor.load_sample import BUSY_S, take

    machine, pauses = with_worker(running=1), list[float]()
    machine.pause = pauses.append
    assert take(machine).frames == []
    assert pauses[-1] == BUSY_S


def test_a_worker_whose_last_answer_is_just_over_is_asked(with_worker: Any) -> None:
    from qwell.doctor.load_sample import take

    machine = with_worker(running=1)
    machine.pause = lambda _seconds: with_worker(running=0)
    assert take(machine).text == "1, 2, 3"


def test_throttling_while_computing(machine: Any, status: Status) -> None:
    from qwell.doctor.cgroup import Throttling
    from qwell.doctor.load_sample import Counters, LoadSample

    machine.write("/sys/fs/cgroup/cpu.max", "50000 100000")
    before, after = (Counters(t, {}, {}, Throttling(n, m)) for t, n, m in ((0, 10, 1), (1, 20, 9)))
    machine.keep("load sample", LoadSample(before, after))
    assert status("container.cpu_throttling", machine) == "fail"
