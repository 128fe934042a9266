"""Which faults a case may have, with probabilities: text, checks and answers together.

What a person pasted may come from another machine or another hour, so checks that pass here count
only against what words alone suggest. Asks nothing and tries nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from qwell.doctor import consult
from qwell.doctor.case import Case, Reply
from qwell.doctor.catalogue import load
from qwell.doctor.fault import Language
from qwell.doctor.finding import Finding, Layer, Status
from qwell.doctor.question_bank import NONE, likelihood

WRONG = (Status.WARN, Status.FAIL)
# layers on whose healthy checks a person's words can be wrong; elsewhere the way of the person
# to the server may differ from the doctor's
_SEEN_WHOLE: frozenset[Layer] = frozenset(("host", "container", "dependency", "model", "engine"))
_LEAST = 0.02
_RIVALS = 2  # of the first, that nothing points to yet
_RIVAL_P = 0.03
CERTAIN = 0.6


@dataclass(frozen=True, slots=True)
class Suspect:
    """fault: as in `diagnose --json`. is_seen: a check sees it now; is_cited: a line shows it."""

    id: str
    p: float
    fault: dict[str, Any]
    is_seen: bool = False
    is_cited: bool = False


@dataclass(frozen=True, slots=True)
class Lineup:
    """verdict: of the text and the checks, before any answer. Suspects: likeliest first."""

    verdict: str
    suspects: tuple[Suspect, ...] = ()
    harmless: tuple[str, ...] = ()
    has_log: bool = False
    cited: tuple[dict[str, Any], ...] = field(default=())

    @property
    def first(self) -> Suspect | None:
        return self.suspects[0] if self.suspects else None


def line_up(case: Case) -> Lineup:
    """A pure function of what the case holds."""
    findings = list(case.findings.values())
    read = _read(case.text, findings, case.language)
    report = consult.report(findings, case.language)
    live = [diagnosis for diagnosis in report.diagnoses if diagnosis["p"] >= CERTAIN]
    named = frozenset(str(f.facts().get("fault", "")) for f in findings if f.status in WRONG)
    wrong = frozenset(finding.check for finding in findings if finding.status in WRONG)
    suspects = _joined(read["faults"], live, named, wrong)
    suspects = [s for s in suspects if s.id not in case.refuted]
    suspects = _with_rivals(suspects, case, consult.port_of(findings))
    weighed = _after(suspects, case.replies)
    verdict = "fault" if live else read["verdict"]
    return Lineup(
        verdict,
        tuple(s for s in weighed if s.p >= _LEAST),
        tuple(read["harmless"]),
        read["has_log"],
        tuple(_cited(read["faults"])),
    )


def _read(text: str, findings: Sequence[Finding], language: Language) -> dict[str, Any]:
    """What the text says; checks that are wrong join it, and checks that pass where words speak."""
    if not text.strip():
        return {"verdict": "unknown", "faults": [], "harmless": [], "has_log": False}
    wrong = [finding for finding in findings if finding.status in WRONG]
    port = consult.port_of(findings)
    alone = _alone(text, port, language)
    is_cited = any(item["line"] for fault in alone["faults"][:1] for item in fault["evidence"])
    whole = wrong if is_cited else [f for f in findings if f in wrong or _contradicts(f)]
    found = consult.diagnose_text(text, whole, port, language) if whole else alone
    return {**found, "has_log": has_log(text)}


@lru_cache(maxsize=8)  # a turn looks several times at the same text
def _alone(text: str, port: str, language: Language) -> dict[str, Any]:
    return consult.diagnose_text(text, (), port, language)


def has_log(text: str) -> bool:
    """More than one line, and one of them written by a program."""
    from qwell.doctor.read_lines import split

    return "\n" in text.strip() and any(not line.is_prose for line in split(text))


def _contradicts(finding: Finding) -> bool:
    return finding.status is Status.PASS and finding.layer in _SEEN_WHOLE


def _joined(
    read: Iterable[dict[str, Any]],
    live: Iterable[dict[str, Any]],
    named: frozenset[str],
    wrong: frozenset[str],
) -> list[Suspect]:
    """What checks see comes before what words suggest, and after what lines of a log show.

    Unless it is the cause of what they show: then the lines speak for it.
    named: faults that the program itself names; they come before what checks conclude. wrong:
    checks; two faults may be seen by the same one, and then the words choose.
    """
    seen = sorted(
        (_suspect(fault, is_seen=True) for fault in live), key=lambda s: s.id not in named
    )
    ids = {suspect.id for suspect in seen}
    said = [
        _suspect(f, is_seen=f["id"] in ids or not wrong.isdisjoint(f["verify"]))
        for f in read
        if f["p"] >= _LEAST
    ]
    clear = said[0] if said and said[0].p >= CERTAIN else None
    causes = [s for s in seen if clear and _causes(s, clear)]
    telling = [s for s in seen if s.id in named or (not clear and _explains(s, said))]
    if clear and clear.is_seen:
        telling = telling or [s for s in seen if s.id == clear.id]
    if causes:
        telling = [*causes, *(s for s in telling if s not in causes)]
    elif not telling or (clear and clear.is_cited):
        known = {suspect.id for suspect in said}
        return said + _sharing(
            [s for s in seen if s.id not in known], max(0.1, 0.5 * (1 - _sum(said)))
        )
    head = replace(telling[0], p=0.9 * telling[0].p)
    rest = 1.0 - head.p
    others = [s for s in telling[1:] if s.id != head.id]
    words = [s for s in said if s.id not in {head.id, *(o.id for o in others)}]
    return [head, *_sharing(others, 0.5 * rest), *(replace(s, p=0.4 * rest * s.p) for s in words)]


def _sharing(suspects: Sequence[Suspect], total: float) -> list[Suspect]:
    return [replace(s, p=max(0.0, total) / len(suspects)) for s in suspects]


def _sum(suspects: Iterable[Suspect]) -> float:
    return sum(suspect.p for suspect in suspects)


def _explains(suspect: Suspect, others: Iterable[Suspect]) -> bool:
    """Whether it may be what a person means: it stops everything, or is akin to what they say."""
    fault = consult.find_fault(suspect.id)
    akin = {fault.id, *fault.explains, *fault.confused_with}
    said = {other.id for other in others}
    return fault.effect == "down" or not said or bool(akin & said)


def _causes(suspect: Suspect, other: Suspect) -> bool:
    """What a check sees brings the other about, which no check sees for itself."""
    return not other.is_seen and other.id in consult.find_fault(suspect.id).explains


def _suspect(fault: dict[str, Any], *, is_seen: bool) -> Suspect:
    is_cited = any(item.get("line") for item in fault["evidence"])
    return Suspect(fault["id"], fault["p"], fault, is_seen, is_cited)


def _with_rivals(suspects: list[Suspect], case: Case, port: str) -> list[Suspect]:
    """Also what the first is often mistaken for, with little weight."""
    known = load().faults
    if not suspects or suspects[0].id not in known:
        return suspects
    there = {suspect.id for suspect in suspects} | set(case.refuted)
    more = [i for i in known[suspects[0].id].confused_with if i in known and i not in there]
    left = max(0.0, 1.0 - sum(s.p for s in suspects))
    p = min(_RIVAL_P, left / (len(more) + 1))
    return suspects + [_bare(i, p, port, case.language) for i in more[:_RIVALS]]


def _bare(fault_id: str, p: float, port: str, language: Language) -> Suspect:
    """A fault that nothing points to."""
    from qwell.doctor.diagnose import Diagnosis
    from qwell.doctor.render import diagnosis_to_dict

    diagnosis = Diagnosis(load().faults[fault_id], 0.0, p)
    return Suspect(fault_id, p, diagnosis_to_dict(diagnosis, language, port))


def _after(suspects: list[Suspect], replies: Iterable[Reply]) -> list[Suspect]:
    """Bayes: each answer to a question about faults makes some likelier; "none of them" stays."""
    odds = {suspect.id: suspect.p for suspect in suspects}
    other = max(0.02, 1.0 - sum(odds.values()))
    for reply in replies:
        for fault_id in odds:
            odds[fault_id] *= likelihood(reply, fault_id)
        other *= likelihood(reply, NONE)
    total = other + sum(odds.values())
    weighed = [_with_p(s, odds[s.id] / total) for s in suspects] if total > 0 else []
    return sorted(weighed, key=lambda suspect: -suspect.p)


def _with_p(suspect: Suspect, p: float) -> Suspect:
    return replace(suspect, p=p, fault={**suspect.fault, "p": round(p, 3)})


def _cited(faults: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Lines of the text that speak for a fault, each once."""
    seen: set[int] = set()
    for fault in faults:
        for item in fault["evidence"]:
            if item.get("line") and item["line"] not in seen:
                seen.add(item["line"])
                yield {"line": item["line"], "text": item["text"], "fault": fault["id"]}
