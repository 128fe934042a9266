"""Copies of an SQLite file that are whole, also while others write to it. Knows no tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def copy(source: Path, target: Path) -> None:
    """Whole or not at all, under the target's name, readable by its owner only."""
    unfinished = target.with_name(f"{target.name}.tmp")
    unfinished.touch(mode=0o600)
    try:
        with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(unfinished)) as new:
            old.backup(new)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def remove_log(file: Path) -> None:
    """The write-ahead log belongs to the file that is going to be replaced."""
    for part in (Path(f"{file}-wal"), Path(f"{file}-shm")):
        part.unlink(missing_ok=True)
