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
    """On a disk that is full or may not be written, lines are kept in memory.

    Treating such a disk must not fail for its journal, and still counts while this process lives.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = folder / FILE
        self._clock = clock
        self._unwritten: list[dict[str, Any]] = []

    def note(self, event: str, fault: str, remedy: str, **facts: Any) -> None:
        """Add one line and wait until it is on the disk."""
        entry = {"at": self._clock(), "event": event, "fault": fault, "remedy": remedy, **facts}
        self._unwritten.append(entry)
        try:
            self._write()
        except OSError:
            return  # with the next line, perhaps
        self._unwritten.clear()

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(entry, ensure_ascii=False) + "\n" for entry in self._unwritten]
        with self._path.open("a", encoding="utf-8") as file:
            file.write("".join(lines))
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> Iterator[dict[str, Any]]:
        """Oldest first; a line that a crash or a full disk cut off is passed over."""
        yield from self._written()
        yield from self._unwritten

    def _written(self) -> Iterator[dict[str, Any]]:
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return
        for line in text.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                yield entry

    def attempts_left(self, fault: str, remedy: str) -> int:
        """How often this remedy may still be tried on this fault today."""
        since = self._clock() - DAY_S
        tried = [
            entry
            for entry in self.entries()
            if entry.get("event") == "apply"
            and (entry.get("fault"), entry.get("remedy")) == (fault, remedy)
            and float(entry.get("at", 0)) > since
        ]
        return max(0, ATTEMPTS_A_DAY - len(tried))
