"""The text that a command is given: a file's, or what comes on standard input. Judges nothing."""

from __future__ import annotations

import sys
from pathlib import Path

from qwell.errors import QwellError


def given_text(name: str, *, expected: str, fix: str) -> str:
    """The file's content, or standard input for a dash; bytes that are no UTF-8 are replaced.

    Raises QwellError ``permission-denied`` or ``file-missing`` with what was expected, and the fix.
    """
    if name == "-":
        return sys.stdin.buffer.read().decode("utf-8", errors="replace")
    try:
        return Path(name).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise QwellError(
            "permission-denied" if isinstance(error, PermissionError) else "file-missing",
            found=f"{name}: {error.strerror or error}",
            expected=expected,
            fix=fix,
        ) from error
