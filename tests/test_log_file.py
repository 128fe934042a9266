"""The log file stays small, and nothing that happens to the disk reaches the program."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

from qwell.log import JsonFormatter, TextFormatter, inert, keep
from qwell.log_file import KEPT, LogFile, dropped_lines


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "t", "levelname": "INFO", "msg": message})
    vars(made).update(extra)
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "qwell.log"


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_lines_are_appended_to_what_is_there(path: Path) -> None:
    for text in ("one", "zwei 二"):
        file = LogFile(path, 1000)
        file.emit(record(text))
        file.close()
    assert lines(path) == ["one", "zwei 二"]
    assert path.stat().st_mode & 0o077 == 0


def test_old_files_move_aside_and_only_a_few_are_kept(path: Path) -> None:
    file = LogFile(path, 10)
    for number in range(20):
        file.emit(record(f"line {number:02}"))
    file.close()
    names = sorted(p.name for p in path.parent.iterdir())
    assert names == ["qwell.log", *(f"qwell.log.{n}" for n in range(1, KEPT))]
    assert lines(path) == ["line 19"]
    assert lines(path.with_name("qwell.log.4")) == ["line 15"]


def test_a_file_that_is_already_too_large_moves_aside(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("x" * 50 + "\n", encoding="utf-8")
    file = LogFile(path, 10)
    file.emit(record("new"))
    file.close()
    assert lines(path) == ["new"]


def test_a_full_disk_costs_lines_and_one_word(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, before = LogFile(path, 1000), dropped_lines()
    file.emit(record("before"))
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", _no_space)
        file.emit(record("lost"))
        file.emit(record("lost"))
    file.emit(record("after"))
    file.close()
    assert lines(path) == ["before", "after"]
    assert dropped_lines() - before == 2
    assert capsys.readouterr().err.count("No space left") == 1


def test_a_torn_line_does_not_swallow_the_next(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, write = LogFile(path, 1000), os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda fd, data: write(fd, data[:3]))
        file.emit(record("torn apart"))
    file.emit(record("whole"))
    file.close()
    assert lines(path) == ["tor", "whole"]


def test_a_real_full_device_is_survived(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to("/dev/full")
    file = LogFile(path, 1000)
    file.emit(record("lost"))
    file.close()
    assert "cannot write" in capsys.readouterr().err


def _no_space(_fd: int, _data: bytes) -> int:
    raise OSError(28, "No space left on device")


def test_what_a_client_sent_forges_no_line_and_moves_no_cursor() -> None:
    shown = TextFormatter().format(record("response", path="/a\nERROR forged\x1b[2J\u202e"))
    assert shown.count("\n") == 0
    assert "\x1b" not in shown
    assert r"/a\nERROR forged\x1b[2J\u202e" in shown


def test_json_lines_hold_the_extras() -> None:
    line = json.loads(JsonFormatter().format(record("response", path="/a\nb", status=200)))
    assert (line["msg"], line["path"], line["status"]) == ("response", "/a\nb", 200)


def test_inert_keeps_what_can_be_printed() -> None:
    assert inert("你好 café 🙂") == "你好 café 🙂"


def test_what_the_worker_writes_is_kept_as_it_is_or_becomes_a_record(path: Path) -> None:
    root, file = logging.getLogger(), LogFile(path, 10_000)
    root.addHandler(file)
    try:
        keep('{"msg": "model ready"}')
        keep("Fatal Python error: Segmentation fault")
    finally:
        root.removeHandler(file)
        file.close()
    ready, crash = map(json.loads, lines(path))
    assert ready == {"msg": "model ready"}
    assert (crash["logger"], crash["msg"]) == (
        "qwell.worker",
        "Fatal Python error: Segmentation fault",
    )
