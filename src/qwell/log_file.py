"""A log file that stays small and never gets in the way: a full disk costs lines, not requests.

Knows nothing of what is logged. Standard library only.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from pathlib import Path

KEPT = 5  # files in all: the one being written and older ones, .1 to .4
_COMPLAIN_EVERY_S = 60.0
_n_dropped = 0


def dropped_lines() -> int:
    """Lines that could not be written since the program started."""
    return _n_dropped


class LogFile(logging.Handler):
    """Appends each record as one line; past max_bytes the file moves aside.

    What cannot be written is dropped and counted, with a word on standard error once a minute.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        super().__init__()
        self.path = path
        self._max_bytes = max_bytes
        self._fd: int | None = None
        self._size = 0
        self._is_torn = False  # the last line was written in part
        self._complained_at = -_COMPLAIN_EVERY_S

    def emit(self, record: logging.LogRecord) -> None:
        self.append(self.format(record))

    def append(self, text: str) -> None:
        """Write one line that is formatted already."""
        line = text.encode("utf-8", "backslashreplace") + b"\n"
        try:
            self._write(b"\n" + line if self._is_torn else line)
        except OSError as error:
            self._drop(error)

    def close(self) -> None:
        self._close_file()
        super().close()

    def _write(self, line: bytes) -> None:
        if self._fd is not None and self._size + len(line) > self._max_bytes:
            self._rotate()
        if self._fd is None:
            self._open()
        assert self._fd is not None
        n_written = os.write(self._fd, line)
        self._size += n_written
        self._is_torn = n_written < len(line)
        if self._is_torn:
            raise OSError("the line was written in part")

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._fd).st_size
        if self._size > self._max_bytes:
            self._rotate()
            self._open()

    def _rotate(self) -> None:
        self._close_file()
        for number in range(KEPT - 1, 0, -1):
            older = self.path if number == 1 else self._aside(number - 1)
            with contextlib.suppress(FileNotFoundError):
                older.replace(self._aside(number))

    def _aside(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _close_file(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _drop(self, error: OSError) -> None:
        global _n_dropped  # noqa: PLW0603  one count for the process, however many files
        _n_dropped += 1
        if time.monotonic() - self._complained_at >= _COMPLAIN_EVERY_S:
            self._complained_at = time.monotonic()
            print(f"qwell: cannot write {self.path}: {error}", file=sys.stderr)
