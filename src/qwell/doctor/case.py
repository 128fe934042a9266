"""One trouble of one person: what was said, seen, asked and tried, and where the dialogue stands.

Data, and its JSON. Decides nothing; knows no file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from qwell.doctor.fault import Bilingual, Language
from qwell.doctor.finding import Finding, Status
from qwell.doctor.way_back import WayBack

State = Literal[
    "examining", "asking", "awaiting_consent", "watching", "fixed", "no_fault", "handed_over"
]
FINAL: frozenset[State] = frozenset(("fixed", "no_fault", "handed_over"))
Verifier = Literal["", "checks", "person"]
MAX_TEXT = 4_000_000  # characters of everything that was sent in one case


@dataclass(frozen=True, slots=True)
class Choice:
    id: str
    label: Bilingual

    def to_dict(self) -> dict[str, Any]:
        return {"id": self.id, "label": self.label.to_dict()}


@dataclass(frozen=True, slots=True)
class Question:
    """about: the faults that it tells apart."""

    id: str
    text: Bilingual
    choices: tuple[Choice, ...] = ()
    about: tuple[str, ...] = ()
    free_text: bool = True

    def to_dict(self) -> dict[str, Any]:
        """As in the event ``ask``."""
        return {
            "question": self.id,
            "text": self.text.to_dict(),
            "choices": [choice.to_dict() for choice in self.choices],
            "free_text": self.free_text,
            "about": list(self.about),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Question:
        return cls(
            data["question"],
            Bilingual(**data["text"]),
            tuple(Choice(c["id"], Bilingual(**c["label"])) for c in data["choices"]),
            tuple(data["about"]),
            data["free_text"],
        )

    @property
    def choice_ids(self) -> tuple[str, ...]:
        return tuple(choice.id for choice in self.choices)


@dataclass(frozen=True, slots=True)
class Said:
    """What the person sends in one turn.

    is_own_log  the text is what our own log has of a failure, not the person's
    """

    text: str = ""
    choice: str = ""
    consent: str = ""
    findings: tuple[Finding, ...] = ()
    is_own_log: bool = False

    @property
    def is_empty(self) -> bool:
        return not (self.text.strip() or self.choice or self.consent or self.findings)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to a question; about: the faults that the question named."""

    question: str
    choice: str
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """A remedy that was tried, or that the person did not want (``declined``)."""

    fault: str
    remedy: str
    result: str


@dataclass
class Case:
    """texts: what was typed or pasted, redacted. findings: the last of each check, by its id.

    question: the one that is open; remedy: the one that waits, of `fault`, and awaited: checks
    that have to pass then. refuted: faults that a cure without effect, or the person, ruled out.
    """

    id: str
    created: float
    language: Language
    conversation: str = ""
    state: State = "examining"
    updated: float = 0.0
    turns: int = 0
    watches: int = 0
    texts: list[str] = field(default_factory=list)
    findings: dict[str, Finding] = field(default_factory=dict)
    replies: list[Reply] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    refuted: list[str] = field(default_factory=list)
    question: Question | None = None
    remedy: str = ""
    awaited: list[str] = field(default_factory=list)
    fault: str = ""
    n_named: int = 0
    verified_by: Verifier = ""
    ways_back: dict[str, WayBack] = field(default_factory=dict)
    treating: str = ""

    @property
    def is_cut_off(self) -> bool:
        """A remedy was carried out, and the program ended before anybody saw whether it helped."""
        return self.treating in self.ways_back

    @property
    def can_undo(self) -> bool:
        is_done = self.state in ("fixed", "watching") and self.remedy in self.ways_back
        return is_done or self.is_cut_off

    @property
    def text(self) -> str:
        """Everything that was said, as one text."""
        return "\n\n".join(self.texts)

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    @property
    def title(self) -> str:
        """What the person said first."""
        first = next((line.strip() for line in self.text.splitlines() if line.strip()), "")
        return first[:120]

    def take(self, findings: Iterable[Finding]) -> None:
        """The newest of each check counts; what could not be looked at hides nothing older."""
        for finding in findings:
            known = self.findings.get(finding.check)
            if known is None or finding.status not in (Status.SKIP, Status.ERROR):
                self.findings[finding.check] = finding

    def add_text(self, text: str) -> None:
        """As much of it as still fits."""
        room = MAX_TEXT - sum(map(len, self.texts))
        if room > 0 and text.strip():
            self.texts.append(text[:room].strip())

    def tried(self, fault: str) -> frozenset[str]:
        """Remedies of this fault that need not be offered again."""
        return frozenset(trial.remedy for trial in self.trials if trial.fault == fault)

    def brief(self) -> dict[str, Any]:
        """For a list of cases."""
        return {
            "case": self.id,
            "state": self.state,
            "title": self.title,
            "lang": self.language,
            "created": self.created,
            "updated": self.updated,
            "fault": self.fault,
            "conversation": self.conversation,
        }

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without the texts, which are kept once."""
        body = asdict(self)
        del body["texts"]
        body["findings"] = [finding.to_dict() for finding in self.findings.values()]
        body["question"] = self.question.to_dict() if self.question else None
        return body

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], texts: Iterable[str]) -> Case:
        """Inverse of to_dict. Raises KeyError, TypeError or ValueError for what is none."""
        findings = [Finding.from_dict(item) for item in data["findings"]]
        return cls(
            **{
                **data,
                "texts": list(texts),
                "findings": {finding.check: finding for finding in findings},
                "replies": [
                    Reply(r["question"], r["choice"], tuple(r["about"])) for r in data["replies"]
                ],
                "trials": [Trial(**trial) for trial in data["trials"]],
                "question": Question.from_dict(data["question"]) if data["question"] else None,
                "ways_back": {
                    remedy: WayBack.from_dict(back)
                    for remedy, back in data.get("ways_back", {}).items()
                },
            }
        )
