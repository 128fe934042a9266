"""The doctor's answer: how it stands, what was found, what that means.

Puts together what the checks and the diagnosis say; decides only the one word and the exit code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from qwell.doctor.finding import Finding, Status

Word = Literal["healthy", "degraded", "broken", "unknown"]
NO_SERVER = "no server runs at "  # and where
KEY_WANTED = "the server wants a key, and none is set here (QWELL_API_KEY)"
EXIT_CODES: Mapping[Word, int] = {"healthy": 0, "degraded": 1, "broken": 2, "unknown": 3}


@dataclass(frozen=True, slots=True)
class Report:
    """diagnoses: as `diagnose --json` has them, most likely first."""

    status: Word
    findings: tuple[Finding, ...]
    diagnoses: tuple[dict[str, Any], ...] = ()

    @property
    def is_locked_out(self) -> bool:
        """A server is there that could not be examined, for want of its key."""
        return _is_locked_out(self.findings)

    @property
    def has_no_server(self) -> bool:
        """Nobody named one, and none runs here."""
        return any(
            f.status is Status.SKIP and f.because.startswith(NO_SERVER) for f in self.findings
        )

    @property
    def wrong(self) -> list[Finding]:
        return [f for f in self.findings if f.status in (Status.FAIL, Status.WARN)]

    def to_dict(self) -> dict[str, Any]:
        """The shape of `doctor --json` and of POST /api/doctor."""
        return {
            "status": self.status,
            "findings": [finding.to_dict() for finding in self.findings],
            "diagnoses": list(self.diagnoses),
        }


def word_for(findings: Iterable[Finding], effects: Iterable[str] = ()) -> Word:
    """One word for all findings. effects: of the diagnosed faults, where they are known.

    Nothing run, a server that lets nobody look, or a check that broke, with nothing else wrong:
    that could not be told.
    """
    findings = tuple(findings)
    seen = {finding.status for finding in findings}
    known = set(effects)
    if Status.FAIL in seen:
        return "broken" if not known or "down" in known else "degraded"
    if Status.WARN in seen:
        return "degraded"
    if Status.PASS not in seen or Status.ERROR in seen or _is_locked_out(findings):
        return "unknown"
    return "healthy"


def _is_locked_out(findings: Iterable[Finding]) -> bool:
    return any(f.status is Status.SKIP and f.because == KEY_WANTED for f in findings)
