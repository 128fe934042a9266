"""What can be wrong and what helps: faults, their signals, their remedies, harmless noise.

Data only. Prose in two languages comes from the catalogue's TOML files; nothing here is run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from qwell.doctor.finding import Layer, Status

Language = Literal["zh", "en"]
Effect = Literal["down", "degraded", "risk"]
Safety = Literal["auto", "confirm", "manual"]


@dataclass(frozen=True, slots=True)
class Bilingual:
    """One text for readers of Chinese and of English. May hold {placeholders}."""

    zh: str
    en: str

    def text_in(self, language: Language) -> str:
        return self.zh if language == "zh" else self.en

    def to_dict(self) -> dict[str, str]:
        return {"zh": self.zh, "en": self.en}


@dataclass(frozen=True, slots=True)
class Signal:
    """A live finding that speaks for (positive) or against (negative) a fault, in log-odds."""

    finding: str  # check id
    status: Status
    weight: float


@dataclass(frozen=True, slots=True)
class Signature:
    """Patterns of one message family that speak for or against a fault, in log-odds.

    One line that matches any of them counts, once. Named groups (container, path, port,
    module ...) fill placeholders.
    """

    id: str  # log.<fault>.<n>
    patterns: tuple[str, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class Rule:
    """Concepts that together, in a person's words, speak for a fault."""

    concepts: tuple[str, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do about a fault.

    safety    auto: inside our own processes and data, reversible; confirm: right only if the
              diagnosis is; manual: the person copies the commands
    commands  exact, with {placeholders} that are filled from evidence
    action    name of the function in doctor/treat.py that does it, empty for manual ones
    fixes     chance that it helps if the diagnosis is right
    cost      effort in minutes, for ordering
    """

    id: str
    safety: Safety
    do: Bilingual
    commands: tuple[str, ...] = ()
    action: str = ""
    fixes: float = 0.8
    cost: float = 5.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of the catalogue.

    prior       log-odds before anything was observed
    phrases     how people describe the symptom, for reports without a log
    explains    ids of faults that this one causes: they are folded under it
    verify      check ids that must pass when it is cured
    references  public threads where it was seen, and manuals
    """

    id: str
    layer: Layer
    effect: Effect
    title: Bilingual
    summary: Bilingual
    see: Bilingual
    why: Bilingual
    how: Bilingual
    prior: float
    signals: tuple[Signal, ...]
    signatures: tuple[Signature, ...]
    rules: tuple[Rule, ...]
    phrases: tuple[str, ...]
    explains: tuple[str, ...]
    confused_with: tuple[str, ...]
    aliases: tuple[str, ...]
    remedies: tuple[Remedy, ...]
    verify: tuple[str, ...]
    references: tuple[str, ...]
    ask: Bilingual | None = None  # yes-or-no question that tells it from its rivals


@dataclass(frozen=True, slots=True)
class Harmless:
    """A message that looks like a failure and is none.

    background  may stand beside a real failure on the same line, or fills most healthy logs:
                it does not make its line innocent
    """

    id: str
    summary: Bilingual
    patterns: tuple[str, ...]  # in log lines
    said: tuple[str, ...] = ()  # in a person's words
    background: bool = False
