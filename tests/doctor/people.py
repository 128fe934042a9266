"""Simulated people who bring a case, and stand-ins for the clinic: for tests of the dialogue."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from qwell.doctor.case import Said
from qwell.doctor.case_file import CaseFile, CaseFolder, Event
from qwell.doctor.dialogue import Dialogue
from qwell.doctor.fault import Fault, Language, Remedy
from qwell.doctor.finding import Finding, Status
from qwell.doctor.observe import Watch
from qwell.doctor.phrasing import SILENT, Writer
from qwell.doctor.scene import Patience, Scene
from qwell.doctor.treat import Treatment
from qwell.doctor.wording import is_chinese

HERE = Path(__file__).parent
MOST_MESSAGES = 60
NAMES = ("dev", "wild", "late", "fresh", "blind", "last")
Case = dict[str, Any]


def cases_of(name: str) -> list[Case]:
    text = (HERE / f"{name}_cases.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def right_faults(case: Case) -> set[str]:
    return {case["fault"], *case.get("also_accept", [])}


class Away:
    """The person speaks of another machine: nothing can be looked at, nothing be done."""

    has_patient = False

    def examine(self, names: Sequence[str], watch: Watch) -> list[Finding]:
        return []

    def treat(self, fault: Fault, remedy: Remedy) -> Treatment:
        raise AssertionError("nothing was offered")

    def can_undo(self, remedy: str) -> bool:
        return False

    def undo(self, remedy: str) -> bool:
        return False

    def reload(self) -> None:
        raise AssertionError("no server is there")


@dataclass
class Ward:
    """A machine with some checks failing; a treatment of `cures` makes them pass."""

    failing: dict[str, Finding]
    cures: str = ""
    has_patient: bool = True
    treated: list[str] = field(default_factory=list)
    taken_back: list[str] = field(default_factory=list)
    on_look: Callable[[], None] = lambda: None
    on_reload: Callable[[], None] = lambda: None

    def examine(self, names: Sequence[str], watch: Watch) -> list[Finding]:
        self.on_look()
        found = [self.failing.get(name) or healthy(name) for name in names]
        for finding in found:
            watch(finding)
        return found

    def treat(self, fault: Fault, remedy: Remedy) -> Treatment:
        self.treated.append(remedy.id)
        helped = remedy.id == self.cures
        if helped:
            self.failing = {k: f for k, f in self.failing.items() if k not in fault.verify}
        found = tuple(self.failing.get(name) or healthy(name) for name in fault.verify)
        return Treatment(fault.id, remedy.id, "fixed" if helped else "undone", "", found)

    def can_undo(self, remedy: str) -> bool:
        return remedy in self.treated

    def undo(self, remedy: str) -> bool:
        self.taken_back.append(remedy)
        return remedy in self.treated

    def reload(self) -> None:
        self.on_reload()


def healthy(name: str) -> Finding:
    from qwell.doctor.checks import CHECKS

    return Finding(name, CHECKS[name].layer, Status.PASS)


def sick(name: str, because: str = "wrong", status: Status = Status.FAIL) -> Finding:
    from qwell.doctor.checks import CHECKS

    return Finding(name, CHECKS[name].layer, status, (), because)


@dataclass
class Talk:
    """One case in a folder, and what was heard of it."""

    file: CaseFile
    clinic: Any
    writer: Writer = SILENT
    patience: Patience = field(default_factory=lambda: Patience(look_s=0.0, watch_s=0.0))
    heard: list[Event] = field(default_factory=list)

    @classmethod
    def in_folder(
        cls, folder: Path, clinic: Any, language: Language = "en", writer: Writer = SILENT
    ) -> Talk:
        return cls(CaseFolder(folder).new(language), clinic, writer)

    def send(self, **said: Any) -> list[Event]:
        """The events of this turn."""
        events: list[Event] = []
        scene = Scene(self.file, self.clinic, events.append, self.writer, self.patience)
        Dialogue(scene).turn(Said(**said))
        self.heard += events
        return events

    @property
    def state(self) -> str:
        return self.file.case.state


def of_type(events: Sequence[Event], kind: str) -> list[Event]:
    return [event for event in events if event["type"] == kind]


def features(text: str) -> set[str]:
    """Words and pairs of Chinese characters."""
    lowered = text.lower()
    chinese = re.findall(r"[\u4e00-\u9fff]", lowered)
    pairs = {a + b for a, b in pairwise(chinese)}
    return set(re.findall(r"[a-z_]{4,}", lowered)) | pairs


@dataclass
class Person:
    """Knows the symptom and the log of a case, and in the end whether a cure helped.

    Gives the log when asked for it. Of choices takes the one whose words are most like their own,
    and says that they do not know when none is. Of a yes-or-no question about something that the
    symptom and log do not say, they do not know the answer either.
    """

    case: Case

    def answer(self, question: Event) -> dict[str, Any]:
        if question["question"] == "log":
            log = self.case["log"].strip()
            return {"text": log} if log else {"choice": "no_log"}
        return {"choice": self._closest(question["choices"])}

    def _closest(self, choices: Sequence[dict[str, Any]]) -> str:
        own = features(f"{self.case['symptom']}\n{self.case['log']}")
        rated = []
        for choice in choices:
            label = features(choice["label"]["zh"] + choice["label"]["en"])
            rated.append((len(own & label) / (1 + len(label)) ** 0.5, choice["id"]))
        likeness, best = max(rated)
        return best if likeness > 0.3 else "unsure"


@dataclass(frozen=True)
class Course:
    """How a dialogue went. turns: messages of the person until the right fault was named, 0: never.

    named: the faults that were named, in their order.
    """

    turns: int
    named: tuple[str, ...]
    state: str
    n_messages: int


def led(case: Case, folder: Path, writer: Writer = SILENT, language: str = "") -> Course:
    """The person's way through the dialogue. What does not help, they say so of."""
    return transcript(case, folder, writer, language)[1]


def transcript(
    case: Case, folder: Path, writer: Writer = SILENT, language: str = ""
) -> tuple[list[Event], Course]:
    """The same with all events. language: of the dialogue, by default that of the symptom."""
    own: Language = "zh" if (language or _language_of(case)) == "zh" else "en"
    talk = Talk.in_folder(folder, Away(), own, writer)
    person, right = Person(case), right_faults(case)
    named: list[str] = []
    turns = n_messages = 0
    message: dict[str, Any] = {"text": case["symptom"] or case["log"]}
    while n_messages < MOST_MESSAGES:
        events = talk.send(**message)
        n_messages += 1
        for event in of_type(events, "diagnosis"):
            named.append(event["fault"]["id"])
            if named[-1] in right and not turns:
                turns = n_messages
        match talk.state:
            case "asking":
                message = person.answer(of_type(events, "ask")[-1])
            case "watching":
                helped = bool(named) and named[-1] in right
                message = {"choice": "works" if helped else "still_broken"}
            case _:
                break
    return talk.heard, Course(turns, tuple(named), talk.state, n_messages)


def _language_of(case: Case) -> str:
    return "zh" if is_chinese(case["symptom"]) else "en"
