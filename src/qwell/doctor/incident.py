"""What went wrong while the server ran: opened by a check, upserted, closed by the same check.

Kept in one small file of the data folder, not in the database: a broken database is an incident.
When even that cannot be written, incidents live as long as the process.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from qwell.doctor.finding import Finding

FILE = "incidents.json"
KEPT = 200
_MOST_EVENTS = 50


@dataclass(frozen=True, slots=True)
class Incident:
    """Times are seconds since 1970. closed 0: still open. events: (when, what) of its time line."""

    id: str
    check: str
    layer: str
    fault: str
    because: str
    opened: float
    seen: float
    closed: float = 0.0
    count: int = 1
    evidence: tuple[dict[str, Any], ...] = ()
    events: tuple[tuple[float, str], ...] = field(default=())

    @property
    def is_open(self) -> bool:
        return not self.closed

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Incident:
        """Inverse of to_dict. Raises KeyError or TypeError for what is none."""
        events = tuple((float(at), str(what)) for at, what in data.pop("events", ()))
        return cls(**{**data, "evidence": tuple(data.get("evidence", ()))}, events=events)


class Incidents:
    """At most one open incident per check."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = folder / FILE
        self._clock = clock
        self._all = _read(self._path)
        self.is_saved = True

    def newest_first(self) -> list[Incident]:
        return sorted(self._all, key=lambda item: (item.is_open, item.seen), reverse=True)

    def open_for(self, check: str) -> Incident | None:
        return next((i for i in self._all if i.check == check and i.is_open), None)

    def upsert(self, finding: Finding, fault: str) -> Incident:
        """Open an incident for a finding that is no pass, or note that it is still so."""
        now = self._clock()
        evidence = tuple(item.to_dict() for item in finding.evidence)
        known = self.open_for(finding.check)
        if known is None:
            incident = Incident(
                secrets.token_hex(8), finding.check, finding.layer, fault, finding.because,
                now, now, evidence=evidence, events=((now, "opened"),),
            )  # fmt: skip
            self._all.append(incident)
        else:
            incident = replace(
                known,
                seen=now,
                count=known.count + 1,
                because=finding.because,
                evidence=evidence,
                fault=fault or known.fault,
            )
            self._swap(known, incident)
        self._save()
        return incident

    def close(self, check: str) -> Incident | None:
        """The check has passed again."""
        known = self.open_for(check)
        if known is None:
            return None
        now = self._clock()
        closed = replace(known, closed=now, events=_with(known.events, now, "closed"))
        self._swap(known, closed)
        self._save()
        return closed

    def note(self, check: str, what: str) -> None:
        """Add to the time line of an open incident, e.g. a treatment."""
        if (known := self.open_for(check)) is not None:
            events = _with(known.events, self._clock(), what)
            self._swap(known, replace(known, events=events))
            self._save()

    def _swap(self, old: Incident, new: Incident) -> None:
        self._all[self._all.index(old)] = new

    def _save(self) -> None:
        self._all = sorted(self._all, key=lambda item: item.opened)[-KEPT:]
        text = json.dumps([item.to_dict() for item in self._all], ensure_ascii=False, indent=1)
        unfinished = self._path.with_name(FILE + ".tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_text(text, encoding="utf-8")
            unfinished.replace(self._path)
        except OSError:
            self.is_saved = False  # a full disk is among the incidents
        else:
            self.is_saved = True


def _with(
    events: tuple[tuple[float, str], ...], at: float, what: str
) -> tuple[tuple[float, str], ...]:
    return (*events, (at, what))[-_MOST_EVENTS:]


def _read(path: Path) -> list[Incident]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [Incident.from_dict(row) for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return []
