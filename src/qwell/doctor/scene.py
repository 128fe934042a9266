"""What one turn of a dialogue works with: the case, who listens, the clinic, the writer.

Numbers and keeps every event before anybody hears of it. Decides nothing.
"""

from __future__ import annotations

import threading
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from qwell.doctor.case import Case, State
from qwell.doctor.case_file import CaseFile, Event
from qwell.doctor.checks import CHECKS
from qwell.doctor.dialogue_words import say
from qwell.doctor.fault import Bilingual, Fault, Remedy
from qwell.doctor.finding import Finding, Status
from qwell.doctor.observe import Watch
from qwell.doctor.phrasing import SILENT, Writer, phrased
from qwell.doctor.reasons import retold
from qwell.doctor.treat import Treatment

Tell = Callable[[Event], None]


class Clinic(Protocol):
    """What a dialogue can do to the world."""

    @property
    def has_patient(self) -> bool:
        """Whether this machine may be what the person speaks of."""

    def examine(self, names: Sequence[str], watch: Watch) -> list[Finding]:
        """A fresh look with these checks."""

    def treat(self, fault: Fault, remedy: Remedy) -> Treatment:
        """Apply, with consent; settle, verify, or take back."""

    def can_undo(self, remedy: str) -> bool:
        """Whether `undo` would still find something."""

    def undo(self, remedy: str) -> bool:
        """Take back what `treat` of this remedy did; False when it cannot."""

    def reload(self) -> None:
        """Have the server load its model again. Raises Impossible where no server is led."""


@dataclass(frozen=True, slots=True)
class Patience:
    """look_s: between two looks while a person does something; watch_s: until one turn ends.

    reload_look_s: the same while the server loads its model.
    """

    look_s: float = 3.0
    watch_s: float = 120.0
    reload_look_s: float = 0.5


@dataclass
class Scene:
    """cancelled: set when another turn of the same case wants to begin."""

    file: CaseFile
    clinic: Clinic
    tell: Tell
    writer: Writer = SILENT
    patience: Patience = Patience()
    clock: Callable[[], float] = time.time
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def case(self) -> Case:
        return self.file.case

    def event(self, kind: str, **body: Any) -> None:
        self.tell(self.file.add(kind, body))

    def say(self, key: str, **facts: str) -> None:
        self._say(key, say(key, self.case.language, **facts), "template")

    def say_well(self, key: str, known: Sequence[str], **facts: str) -> None:
        """The same in the model's words, where it has some and they hold nothing but facts."""
        text = say(key, self.case.language, **facts)
        better = phrased(self.writer, text, known, self.case.language)
        self._say(key, better or text, "model" if better else "template")

    def _say(self, key: str, text: str, by: str) -> None:
        self.event("say", key=key, text=text, by=by)

    def look(self, names: Sequence[str], kind: str = "check") -> list[Finding]:
        """Run checks, each told when it begins and when it ends."""
        wanted = [name for name in dict.fromkeys(names) if name in CHECKS]
        if not wanted:
            return []
        for name in wanted:
            self.event(kind, **check_body(name), status="running", because="", evidence=[], ms=0.0)
        shown = set(wanted)

        def watch(finding: Finding) -> None:
            if finding.check in shown:
                self.show(finding, kind)

        found = [f for f in self.clinic.examine(wanted, watch) if f.check in shown]
        self.case.take(found)
        return found

    def show(self, finding: Finding, kind: str = "check") -> None:
        body = retold(finding.to_dict(), self.case.language)
        del body["layer"]
        self.event(kind, **{**check_body(finding.check), **body})

    def end(self, state: State) -> None:
        """The turn is over; where the case stands is on the disk before anybody hears of it."""
        case = self.case
        case.state, case.updated = state, self.clock()
        self.file.settle()
        self.event(
            "done",
            state=state,
            final=case.is_final,
            fault=case.fault,
            verified_by=case.verified_by,
        )

    def fail(self, code: str, cause: str, fix: str) -> None:
        """The turn could not end as it should; the case stands where it stood before."""
        title = code.replace("-", " ").capitalize()
        self.event("error", code=code, title=title, cause=cause, fix=fix, request_id="")


def check_body(name: str) -> dict[str, Any]:
    """A check as people read it."""
    return {
        "check": name,
        "layer": CHECKS[name].layer if name in CHECKS else name.partition(".")[0],
        "title": title_of(name).to_dict(),
    }


def title_of(name: str) -> Bilingual:
    about = CHECKS[name].about if name in CHECKS else name
    return Bilingual(_titles().get(name, about), about)


@cache
def _titles() -> dict[str, str]:
    path = Path(__file__).with_name("check_titles.toml")
    titles: dict[str, str] = tomllib.loads(path.read_text(encoding="utf-8"))
    return titles


def is_wrong(finding: Finding) -> bool:
    return finding.status in (Status.WARN, Status.FAIL)
