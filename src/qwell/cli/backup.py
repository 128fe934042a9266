"""`qwell backup` and `qwell restore`: all conversations in one file, and back from it."""

from __future__ import annotations

import argparse
from pathlib import Path

from qwell.config import load


def run_backup(options: argparse.Namespace) -> int:
    """Prints where the copy is. The server may go on."""
    from qwell.store.backup import backup
    from qwell.store.database import database_url

    settings, _ = load(vars(options))
    made = backup(database_url(settings), Path(options.file))
    print(f"{made} ({made.stat().st_size / 1e6:,.1f} MB)")
    return 0


def run_restore(options: argparse.Namespace) -> int:
    """Prints where what was there before is kept."""
    from qwell.store.backup import restore
    from qwell.store.database import database_url

    settings, _ = load(vars(options))
    aside = restore(database_url(settings), Path(options.file))
    print(f"restored {options.file}")
    if aside is not None:
        print(f"what was there before: {aside}")
    return 0
