"""What was tried against which fault, and how it went: lines of JSON that are only ever added.

One file in the data folder. Knows nothing of what a treatment does.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FILE = "treatments.jsonl"
DAY_S = 86_400.0
ATTEMPTS_A_DAY = 2


class Journal:
    """Raises OSError when the folder cannot be written: what is not noted is not done."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = folder / FILE
        self._clock = clock

    def note(self, event: str, fault: str, remedy: str, **facts: Any) -> None:
        """Add one line and wait until it is on the disk."""
        line = {"at": self._clock(), "event": event, "fault": fault, "remedy": remedy, **facts}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> Iterator[dict[str, Any]]:
        """Oldest first; a line that a crash cut off is passed over."""
        if not self._path.is_file():
            return
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                yield entry

    def attempts_left(self, fault: str) -> int:
        """How often this fault may still be treated today."""
        since = self._clock() - DAY_S
        tried = [
            entry
            for entry in self.entries()
            if entry.get("event") == "apply"
            and entry.get("fault") == fault
            and float(entry.get("at", 0)) > since
        ]
        return max(0, ATTEMPTS_A_DAY - len(tried))
