"""How one scenario went, and what all of them amount to. Data only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Result:
    """One scenario. The first twelve names are those of `lab run --json`.

    named      the doctor's first diagnosis is the fault that was caused
    by         who named it: doctor (live checks) or log (the reader of pasted text)
    grounded   the evidence holds what the injector knows to be true
    fixed      a remedy was carried out, by itself or by hand, and the doctor says it helped
    remedy     auto, confirm or manual; verified: the person's own attempt works again, too
    wrong_fixes  tried on the same fault; false_passes: those that a verification let through
    invalid    why the scenario says nothing: unwell before, no effect, or no visible symptom
    """

    id: str
    variant: str
    injected: bool = False
    visible: bool = False
    detected: bool = False
    named: bool = False
    top: list[str] = field(default_factory=list)
    fixed: bool = False
    verified: bool = False
    undone: bool = False
    seconds: float = 0.0
    skipped: str = ""
    layer: str = ""
    by: str = ""
    grounded: bool = False
    rivals: list[str] = field(default_factory=list)
    remedy: str = ""
    said: str = ""
    proof: str = ""
    symptom: str = ""
    diagnosis_s: float = 0.0
    with_noise: bool = False
    wrong_fixes: int = 0
    false_passes: list[str] = field(default_factory=list)
    invalid: str = ""

    @property
    def is_valid(self) -> bool:
        """It says something about the doctor."""
        return not self.skipped and not self.invalid and self.injected and self.visible

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Pair:
    """Two faults at once. named: both stand in the diagnosis; first: one of them is the first."""

    faults: tuple[str, str]
    top: list[str] = field(default_factory=list)
    named: bool = False
    first: bool = False
    undone: bool = False
    invalid: str = ""
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Outcome:
    """Everything that one run of the lab found."""

    results: list[Result] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    healthy_runs: int = 0
    alarms: list[str] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The shape of `lab run --json`."""
        return {
            "faults": [result.to_dict() for result in self.results],
            "pairs": [pair.to_dict() for pair in self.pairs],
            "healthy_runs": self.healthy_runs,
            "false_alarms": len(self.alarms),
            "alarms": self.alarms,
            "machine": self.machine,
            "seconds": round(self.seconds, 1),
            "summary": summary(self.results, self.pairs),
        }


def summary(results: Sequence[Result], pairs: Sequence[Pair]) -> dict[str, Any]:
    """Shares are of the valid scenarios; what was skipped or invalid is counted beside them."""
    valid = [result for result in results if result.is_valid]
    treated = [result for result in valid if result.remedy in ("auto", "confirm")]
    times = sorted(result.diagnosis_s for result in valid)
    by_words = sum(len(result.false_passes) for result in results)
    return {
        "scenarios": len(results),
        "valid": len(valid),
        "skipped": sum(bool(result.skipped) for result in results),
        "invalid": sum(not result.is_valid and not result.skipped for result in results),
        "faults_caused": len({result.id for result in valid}),
        "layers": len({result.layer for result in valid}),
        "detected": share(result.detected for result in valid),
        "named_first": share(result.named for result in valid),
        "grounded": share(result.grounded for result in valid),
        "auto_and_confirm": len(treated),
        "auto_and_confirm_verified": share(r.fixed and r.verified for r in treated),
        "verified": share(result.verified for result in valid),
        "undone": share(result.undone for result in valid),
        "wrong_fixes": sum(result.wrong_fixes for result in results),
        "wrong_fixes_that_passed": by_words,
        "with_noise": sum(result.with_noise for result in valid),
        "named_first_with_noise": share(r.named for r in valid if r.with_noise),
        "pairs": len([pair for pair in pairs if not pair.invalid]),
        "pairs_both_named": share(pair.named for pair in pairs if not pair.invalid),
        "diagnosis_s_p50": quantile(times, 0.5),
        "diagnosis_s_p95": quantile(times, 0.95),
    }


def share(flags: Iterable[bool]) -> float | None:
    """Between 0 and 1; None of nothing."""
    found = list(flags)
    return round(sum(found) / len(found), 4) if found else None


def quantile(ordered: Sequence[float], q: float) -> float | None:
    """Nearest rank; None of nothing."""
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, int(q * len(ordered)))], 2)
