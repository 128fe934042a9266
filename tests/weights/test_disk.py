from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from qwell.errors import QwellError
from qwell.weights.disk import require_space, writing


def test_space_that_is_there(tmp_path: Path) -> None:
    require_space(tmp_path, 1, "a byte")


def test_space_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(QwellError, match=r"disk-full.*--cache-dir"):
        require_space(tmp_path, 1 << 60, "the packed model")


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (errno.ENOSPC, "disk-full"),
        (errno.EDQUOT, "disk-full"),
        (errno.EROFS, "read-only-filesystem"),
        (errno.EACCES, "permission-denied"),
    ],
)
def test_a_refused_write_gets_its_fault(tmp_path: Path, code: int, fault: str) -> None:
    with pytest.raises(QwellError) as refused, writing(tmp_path):
        raise OSError(code, os.strerror(code))
    assert refused.value.fault == fault
    assert str(tmp_path) in refused.value.found + refused.value.fix


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), writing(tmp_path):
        raise ConnectionResetError(errno.ECONNRESET, "reset")


def test_no_inode_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = os.statvfs(tmp_path)
    full = os.statvfs_result([*state[:7], 0, *state[8:]])
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    with pytest.raises(QwellError, match=r"inodes-full.*df -i"), writing(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_in_the_place_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(QwellError, match=r"config-invalid.*is a file"), writing(tmp_path / "cache"):
        pass


def test_a_real_full_disk(tmp_path: Path) -> None:
    full = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115  closed below
    with full, pytest.raises(QwellError, match="disk-full"), writing(tmp_path):
        full.write(b"x")
