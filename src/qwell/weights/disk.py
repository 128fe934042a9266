"""Room to write: checked before, and told apart when the file system refuses.

Knows no models. Every writer of this package works inside ``writing``.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qwell.errors import QwellError

_FULL = (errno.ENOSPC, errno.EDQUOT)


def require_space(directory: Path, n_bytes: int, what: str) -> None:
    """Raise QwellError ``disk-full`` unless n_bytes are free where directory lies."""
    free = shutil.disk_usage(directory).free
    if free < n_bytes:
        raise QwellError(
            "disk-full",
            found=f"{free / 1e6:,.0f} MB free in {directory}",
            expected=f"{n_bytes / 1e6:,.0f} MB for {what}",
            fix=f"free some space (`df -h '{directory}'`), or set --cache-dir to a larger disk",
        )


@contextmanager
def writing(directory: Path) -> Iterator[None]:
    """Make directory and turn a refused write into QwellError.

    Faults: ``disk-full``, ``inodes-full``, ``read-only-filesystem``, ``permission-denied``.
    Other OSErrors pass.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise _explained(directory, error) or error from error


def _explained(directory: Path, error: OSError) -> QwellError | None:
    if error.errno in _FULL:
        return _full(directory)
    if error.errno == errno.EROFS:
        return QwellError(
            "read-only-filesystem",
            found=f"{directory} is mounted read-only",
            expected="a place where the prepared model can be written",
            fix="set --cache-dir to a writable directory, or mount this one without `:ro`",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return QwellError(
            "permission-denied",
            found=f"user {os.getuid()} may not write in {directory}",
            expected="a place where the prepared model can be written",
            fix=f"`chown -R {os.getuid()} '{directory}'`, or set --cache-dir to another directory",
        )
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return QwellError(
            "config-invalid",
            found=f"{error.filename or directory} is a file",
            expected="a directory for models",
            fix="remove the file, or set --cache-dir to another directory",
        )
    return None


def _full(directory: Path) -> QwellError:
    """A file system may be full of bytes or of names."""
    place = next(p for p in (directory, *directory.absolute().parents) if p.exists())
    state = os.statvfs(place)
    if state.f_files and not state.f_favail:
        return QwellError(
            "inodes-full",
            found=f"no inode is free in {place}",
            expected="room for new files",
            fix=f"remove many small files (`df -i '{place}'`), or set --cache-dir to another disk",
        )
    return QwellError(
        "disk-full",
        found=f"{state.f_bavail * state.f_frsize / 1e6:,.0f} MB free in {place}, not enough",
        expected="room for the model",
        fix=f"free some space (`df -h '{place}'`), or set --cache-dir to a larger disk",
    )
