"""The note of a running server: whose it is, and that nobody's is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qwell.doctor.run_record import (
    RunRecord,
    other_server,
    read_record,
    remove_record,
    write_record,
)


@pytest.fixture
def living() -> Iterator[int]:
    """A process that could be a server by its name."""
    program = "print(flush=True); input()"
    command = [sys.executable, "-c", program, "qwell"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # by then it has its name
        yield process.pid
        process.communicate(b"\n")


def record_of(pid: int) -> RunRecord:
    return RunRecord(pid, "http://127.0.0.1:8000", 1.0)


def test_only_the_own_note_is_removed(tmp_path: Path, living: int) -> None:
    write_record(tmp_path, record_of(living))
    remove_record(tmp_path)
    assert read_record(tmp_path) == record_of(living)
    write_record(tmp_path, record_of(os.getpid()))
    remove_record(tmp_path)
    assert read_record(tmp_path) is None


def test_another_server_is_one_that_lives(tmp_path: Path, living: int) -> None:
    assert other_server(tmp_path) is None
    write_record(tmp_path, record_of(living))
    assert other_server(tmp_path) == record_of(living)
    for nobody in (os.getpid(), 2**22 + 1):  # oneself; beyond the largest process number
        write_record(tmp_path, record_of(nobody))
        assert other_server(tmp_path) is None


def test_a_number_that_another_program_has_by_now_is_no_server(tmp_path: Path) -> None:
    write_record(tmp_path, record_of(1))
    assert other_server(tmp_path) is None


def test_what_cannot_be_read_is_no_note(tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text("{")
    assert read_record(tmp_path) is None
