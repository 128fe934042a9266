"""The note that a running server leaves in the data folder: who it is and where it answers.

Written at start, removed by a clean stop: a note without its process tells of a death.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "server.json"


@dataclass(frozen=True, slots=True)
class RunRecord:
    pid: int
    url: str
    started: float  # seconds since 1970


def read_record(folder: Path) -> RunRecord | None:
    """None when there is none, or none that can be read."""
    try:
        data = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return RunRecord(int(data["pid"]), str(data["url"]), float(data["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def other_server(folder: Path) -> RunRecord | None:
    """Who serves from this folder already; None for nobody that still lives."""
    record = read_record(folder)
    if record is None or record.pid == os.getpid():
        return None
    try:
        command = Path(f"/proc/{record.pid}/cmdline").read_bytes()
    except OSError:
        return None
    return record if b"qwell" in command else None  # its number may be another program's by now


def write_record(folder: Path, record: RunRecord) -> None:
    """Raises OSError when the folder cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(json.dumps(asdict(record)), encoding="utf-8")


def remove_record(folder: Path) -> None:
    """Only one's own: a second server may have started meanwhile. Raises OSError."""
    record = read_record(folder)
    if record is not None and record.pid == os.getpid():
        (folder / FILE).unlink(missing_ok=True)
