"""Cases on the disk: one file each that is only ever appended to.

Lines of JSON: ``event`` (what was sent, with its number), ``text`` (what was said) and ``case``
(where the dialogue stands after a turn). A torn last line is passed over. Where the folder cannot
be written, cases live as long as the process.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qwell.doctor.case import Case
from qwell.doctor.fault import Language
from qwell.doctor.way_back import NOTHING, WayBack

FOLDER = "support"
KEPT = 100
Event = dict[str, Any]
_ID = re.compile(r"[a-f0-9]{16}")
TERMINAL = ("done", "error")


@dataclass
class CaseFile:
    """A case and its events. is_saved: everything so far is on the disk."""

    case: Case
    path: Path
    events: list[Event] = field(default_factory=list)
    is_saved: bool = True
    n_texts: int = 0  # of the case's texts, those that are written

    @property
    def is_interrupted(self) -> bool:
        """The last turn has no end."""
        return bool(self.events) and self.events[-1]["type"] not in TERMINAL

    def add(self, kind: str, body: Mapping[str, Any]) -> Event:
        """The event, numbered and written."""
        event = {"seq": len(self.events), "type": kind, **body}
        self.events.append(event)
        self._append({"event": event})
        return event

    def settle(self) -> None:
        """Write where the case stands, and wait until that is on the disk."""
        new = self.case.texts[self.n_texts :]
        lines: list[Mapping[str, Any]] = [{"text": text} for text in new]
        self.n_texts += len(new)
        self._append(*lines, {"case": self.case.to_dict()}, durable=True)

    def way_back(self, remedy: str) -> WayBack:
        return self.case.ways_back.get(remedy, NOTHING)

    def keep_way_back(self, remedy: str, back: WayBack) -> None:
        """NOTHING: forget it. On the disk at once: this program may end at any moment."""
        self.case.ways_back.pop(remedy, None)
        if back != NOTHING:
            self.case.ways_back[remedy] = back
        self.settle()

    def _append(self, *lines: Mapping[str, Any], durable: bool = False) -> None:
        # a blank line first: the end of the file may be half a line
        text = "".join("\n" + json.dumps(line, ensure_ascii=False) for line in lines)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
        except OSError:
            self.is_saved = False  # a full disk is among the troubles that are brought here


class CaseFolder:
    """All cases of a data folder. Not for use by several processes at once."""

    def __init__(self, data: Path, clock: Callable[[], float] = time.time) -> None:
        self.folder = data / FOLDER
        self._clock = clock
        self._open: dict[str, CaseFile] = {}

    def new(self, language: Language, conversation: str = "") -> CaseFile:
        self._prune()
        now = self._clock()
        case = Case(secrets.token_hex(8), now, language, conversation, updated=now)
        made = CaseFile(case, self.folder / f"{case.id}.jsonl")
        self._open[case.id] = made
        return made

    def get(self, case_id: str) -> CaseFile | None:
        if case_id not in self._open and _ID.fullmatch(case_id):
            read = _read(self.folder / f"{case_id}.jsonl")
            if read is not None:
                self._open[case_id] = read
        return self._open.get(case_id)

    def newest_first(self) -> list[Case]:
        found = {case_id: file.case for case_id, file in self._open.items()}
        for path in self._paths():
            if path.stem not in found and (read := _read(path)) is not None:
                found[path.stem] = read.case
        return sorted(found.values(), key=lambda case: case.updated, reverse=True)

    def forget(self, case_id: str) -> bool:
        """Whether there was one. Raises OSError when its file cannot be removed."""
        known = self.get(case_id)
        if known is None:
            return False
        known.path.unlink(missing_ok=True)
        del self._open[case_id]
        return True

    def _paths(self) -> Iterator[Path]:
        if self.folder.is_dir():
            yield from self.folder.glob("*.jsonl")

    def _prune(self) -> None:
        """Room for one more: the files that were not touched for longest go."""
        try:
            paths = sorted(self._paths(), key=lambda path: path.stat().st_mtime)
            for path in paths[: max(0, len(paths) + 1 - KEPT)]:
                path.unlink(missing_ok=True)
                self._open.pop(path.stem, None)
        except OSError:
            return  # no room is made where nothing can be removed; the next case tries again


def _read(path: Path) -> CaseFile | None:
    """None where there is no case, or none that can be read."""
    events: list[Event] = []
    texts: list[str] = []
    last: Mapping[str, Any] | None = None
    for line in _lines(path):
        if "event" in line:
            events.append(line["event"])
        elif "text" in line:
            texts.append(line["text"])
        elif "case" in line:
            last = line["case"]
    if last is None:
        return None
    try:
        return CaseFile(Case.from_dict(last, texts), path, events, n_texts=len(texts))
    except (KeyError, TypeError, ValueError):
        return None


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.split("\n"):
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # the line that a crash cut off
        if isinstance(entry, dict):
            yield entry
