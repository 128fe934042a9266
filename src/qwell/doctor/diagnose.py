"""From findings to diagnoses: log-odds, causes before their effects, and knowing when to ask.

Every fault starts at its prior; findings add and subtract; what another fault explains is folded
under it; probabilities are relative to "none of these". Below 0.6, or with a rival close by, the
verdict is unknown and the question or check that tells them apart comes next.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from qwell.doctor.catalogue import NAMED_WEIGHT, load
from qwell.doctor.fault import Bilingual, Fault, Harmless, Language
from qwell.doctor.finding import Finding, Status, Value
from qwell.doctor.read import HARMLESS, Reading, read
from qwell.doctor.search import Found, search
from qwell.doctor.wording import is_chinese, is_ordinary, says_it_works, shows_trouble

CERTAIN = 0.6  # below this probability there is no verdict
NONE = 2.6  # log-odds of "none of these" before anything was seen, where checks look
NONE_OF_TEXT, UNKNOWN_OF_TEXT = 2.6, 3.8  # the same where words were weighed, too
STRANGE = 16.0  # what words that no known fault is told in add to the second (see `_doubt`)
HARMLESS_BESIDE = 1.8  # what a message that is known to be harmless adds to it
WORKS = 3.4  # what it adds when the person says that everything works
SIGNATURES = 1.4  # share of signatures beside the learned weights, which know their words, too
ORDINARY = 6.0  # what it adds when it reads like a request to a chat assistant
SEEN_TOO = 14.0  # what a live check adds to a fault that the text may mean
SILENT = 0.5  # from this probability of nothing being wrong no fault is named, not even as a guess
FOLD_FROM, FOLD_MARGIN = 3.4, 2.6  # a cause needs this much, and may be this much weaker
LEAST_EFFECT = 1.5  # what has less is no effect but noise
SHOWN, RIVALS = 3, 3
LEAST_SEEN = 0.4  # of a fault that a live check sees: less is a hint of something else


@dataclass(frozen=True, slots=True)
class Proof:
    """Why a fault is believed: where it stands, what it says, how much it counts."""

    line: int  # 0 where no line of a text is meant
    text: str
    source: str
    weight: float


@dataclass(slots=True)
class Diagnosis:
    """One fault with its probability; symptoms are faults that it explains.

    is_seen: a live check sees it, rather than a log or a person's words
    """

    fault: Fault
    score: float
    p: float = 0.0
    is_seen: bool = False
    proofs: list[Proof] = field(default_factory=list)
    facts: dict[str, Value] = field(default_factory=dict)
    symptoms: list[str] = field(default_factory=list)
    ruled_out: list[tuple[str, Bilingual]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Next:
    """What would tell the rivals apart: a question with fixed answers, and a check."""

    ask: Bilingual
    choices: tuple[Bilingual, ...] = ()
    check: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """fault: the first diagnosis is it; healthy: nothing is wrong; unknown: cannot tell yet."""

    verdict: str
    diagnoses: tuple[Diagnosis, ...]
    next: Next
    harmless: tuple[str, ...] = ()
    receipt: Mapping[str, int] = field(default_factory=dict)
    ms: float = 0.0
    language: Language = "en"  # of the text, for reasons given in one language only
    unread: int = 0  # bytes of the text that were left out: without them nothing is healthy

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, as in `diagnose --json`."""
        from qwell.doctor.render import verdict_to_dict

        return verdict_to_dict(self)


YES_NO = (Bilingual("是", "yes"), Bilingual("否", "no"), Bilingual("不知道", "I do not know"))
_TELL_MORE = Bilingual(
    "请贴出出错前后的日志（docker logs、终端或浏览器控制台），并说明您做了什么、期望什么。",
    "Please paste the log around the failure (docker logs, terminal or browser console), and say "
    "what you did and what you expected.",
)


def diagnose_text(text: str, live: Iterable[Finding] = (), *, unread: int = 0) -> Verdict:
    """The verdict on a symptom, a log, or both. Findings of live checks join when given.

    unread: bytes that were too many to be given.
    """
    started = time.perf_counter()
    reading = read(text)
    live = tuple(live)
    words = search(reading)
    candidates = _weigh((*reading.findings, *live))
    _add_words(candidates, reading, words)
    _add_own(candidates, reading)
    verdict = _decide(candidates, words, reading)
    is_partial = verdict.verdict == "healthy" and unread > 0
    return replace(
        verdict,
        verdict="unknown" if is_partial else verdict.verdict,
        unread=unread,
        receipt=reading.receipt,
        ms=(time.perf_counter() - started) * 1000,
        language="zh" if is_chinese(reading.prose) else "en",
    )


def diagnose(findings: Iterable[Finding], none: float = NONE) -> Verdict:
    """The verdict on findings alone: live checks, or a bundle of them.

    What a check sees is there, whatever else is: faults do not compete here, and each that one
    of its own checks sees is named, however many there are.
    """
    candidates = _weigh(findings)
    ranked = _fold(sorted(candidates.values(), key=lambda d: -d.score))
    for diagnosis in ranked:
        diagnosis.p = 1 / (1 + math.exp(none - diagnosis.score))
    seen = [d for d in ranked if d.is_seen and d.p >= LEAST_SEEN]
    if not seen:
        return Verdict("unknown", (), Next(_TELL_MORE))
    _rule_out(seen, ranked)
    is_certain = seen[0].p >= CERTAIN
    return Verdict("fault" if is_certain else "unknown", tuple(seen), _next(seen, is_certain))


def _none_of(reading: Reading, words: Found) -> float:
    """Log-odds of nothing being wrong."""
    telling = any(
        finding.check.startswith(HARMLESS) and not _is_background(finding.check)
        for finding in reading.findings
    ) or any(_said(entry, reading.prose) for entry in load().harmless)
    none = NONE_OF_TEXT + words.none + (HARMLESS_BESIDE if telling else 0.0)
    works = says_it_works(reading.prose) and (telling or reading.has_log)
    is_log = reading.has_log and "\n" in reading.gist.strip()
    ordinary = is_ordinary(reading.gist) and not is_log
    return none + (WORKS if works else 0.0) + (ORDINARY if ordinary else 0.0)


def _doubt(ranked: list[Diagnosis], words: Found) -> float:
    """What speaks for a fault that is not in the catalogue: a text mostly told in other words.

    Learned words say little of such a text. A line of a log, or a live check, still does.
    """
    is_shown = ranked[0].is_seen or _has_line(ranked[0])
    return 0.0 if is_shown else STRANGE * words.novelty


def _said(entry: Harmless, prose: str) -> bool:
    """The person describes something harmless in their own words."""
    return any(re.search(said, prose, re.IGNORECASE) for said in entry.said)


def _is_background(check: str) -> bool:
    return any(entry.background for entry in load().harmless if HARMLESS + entry.id == check)


def _weigh(findings: Iterable[Finding]) -> dict[str, Diagnosis]:
    """Score of each fault that any finding speaks for or against."""
    weights = _weights()
    catalogue = load()
    candidates: dict[str, Diagnosis] = {}
    for finding in sorted(findings, key=lambda finding: finding.status is Status.PASS):
        for fault_id, weight in weights.get((finding.check, finding.status), ()):
            fault = catalogue.faults[fault_id]
            diagnosis = candidates.setdefault(fault_id, Diagnosis(fault, fault.prior))
            if finding.status is Status.PASS and diagnosis.is_seen:
                continue  # what one check sees, another need not see
            diagnosis.is_seen |= weight > 0 and not finding.check.startswith("log.")
            _add(diagnosis, finding, weight)
    return candidates


@cache
def _weights() -> dict[tuple[str, Status], list[tuple[str, float]]]:
    """By check and status: which faults that speaks for or against."""
    table: dict[tuple[str, Status], list[tuple[str, float]]] = {}
    for fault in load().faults.values():
        for signature in fault.signatures:
            table[(signature.id, Status.FAIL)] = [(fault.id, signature.weight)]
        for signal in fault.signals:
            pair = (fault.id, signal.weight)
            table.setdefault((signal.finding, signal.status), []).append(pair)
    return table


def _add(diagnosis: Diagnosis, finding: Finding, weight: float) -> None:
    """A second signature of the same fault adds less than the first: they are not independent."""
    positive = [proof.weight for proof in diagnosis.proofs if proof.weight > 0]
    if weight > 0 and positive:
        strongest = max(positive)
        diagnosis.score += max(0.0, weight - strongest) + 0.25 * min(weight, strongest)
    else:
        diagnosis.score += weight
    facts = finding.facts()
    source = finding.evidence[0].source if finding.evidence else finding.check
    line = int(source[4:]) if source.startswith("log:") else 0
    diagnosis.proofs.append(Proof(line, str(facts.get("text", finding.because)), source, weight))
    diagnosis.facts.update({k: v for k, v in facts.items() if k != "text"})


def _add_words(candidates: dict[str, Diagnosis], reading: Reading, words: Found) -> None:
    """What the text says adds to what its signatures show; it takes nothing from live checks."""
    catalogue = load()
    likeliest = max(words.faults, key=lambda fault: words.faults[fault], default="")
    for fault_id, weight in words.faults.items():
        fault = catalogue.faults[fault_id]
        diagnosis = candidates.setdefault(fault_id, Diagnosis(fault, fault.prior))
        if diagnosis.is_seen:
            is_meant = weight > 0 or likeliest in fault.confused_with
            diagnosis.score += max(0.0, weight) + (SEEN_TOO if is_meant else 0.0)
        else:
            is_contradicted = diagnosis.score < fault.prior  # words cannot hold against a line
            said = min(0.0, weight) if is_contradicted else weight
            diagnosis.score = SIGNATURES * diagnosis.score + said
        if weight > 0 and all(proof.text != reading.quote for proof in diagnosis.proofs):
            diagnosis.proofs.append(Proof(0, reading.quote, "words", weight))


def _add_own(candidates: dict[str, Diagnosis], reading: Reading) -> None:
    """Failures that only this program has, where the text names them."""
    from qwell.doctor.own_faults import own_diagnoses

    for diagnosis in own_diagnoses(reading.findings, ()):
        diagnosis.score = NAMED_WEIGHT
        candidates[diagnosis.fault.id] = diagnosis


def _decide(candidates: dict[str, Diagnosis], words: Found, reading: Reading) -> Verdict:
    ranked = _fold(sorted(candidates.values(), key=lambda d: -d.score))
    none, unknown = _none_of(reading, words), UNKNOWN_OF_TEXT + words.unknown
    p_none, _ = _give_probabilities(ranked, none, unknown)
    harmless = tuple(dict.fromkeys(_harmless_ids(reading)))
    if p_none >= SILENT or not ranked or not reading.gist.strip():
        verdict = "healthy" if harmless or _looks_healthy(reading) else "unknown"
        return Verdict(verdict, (), Next(_TELL_MORE), harmless)
    p_none, p_unknown = _give_probabilities(ranked, none, unknown + _doubt(ranked, words))
    shown = ranked[:SHOWN]
    _rule_out(shown, ranked)
    is_certain = shown[0].p >= max(CERTAIN, p_none, p_unknown)
    return Verdict(
        "fault" if is_certain else "unknown", tuple(shown), _next(shown, is_certain), harmless
    )


def _has_line(diagnosis: Diagnosis) -> bool:
    """A line of a log speaks for it."""
    return any(proof.line and proof.weight > 0 for proof in diagnosis.proofs)


def _harmless_ids(reading: Reading) -> list[str]:
    checks = [finding.check for finding in reading.findings]
    found = [check.removeprefix(HARMLESS) for check in checks if check.startswith(HARMLESS)]
    return found + [entry.id for entry in load().harmless if _said(entry, reading.prose)]


def _looks_healthy(reading: Reading) -> bool:
    """A log without any word of trouble."""
    return reading.has_log and not reading.prose.strip() and not shows_trouble(reading.gist)


def _fold(ranked: list[Diagnosis]) -> list[Diagnosis]:
    """Puts each effect under its cause. A cause takes over the certainty of what it explains."""
    by_id = {d.fault.id: d for d in ranked}
    folded: set[str] = set()
    for cause in ranked:
        is_known = _has_line(cause) or cause.is_seen  # words alone do not make a cause
        if cause.fault.id in folded or cause.score < FOLD_FROM or not is_known:
            continue
        for effect_id in cause.fault.explains:
            effect = by_id.get(effect_id)
            if effect is None or effect_id in folded or effect is cause:
                continue
            if LEAST_EFFECT <= effect.score <= cause.score + FOLD_MARGIN:
                cause.score = max(cause.score, effect.score + 0.3)
                cause.symptoms.append(effect_id)
                folded.add(effect_id)
    kept = [d for d in ranked if d.fault.id not in folded]
    return sorted(kept, key=lambda d: -d.score)


def _give_probabilities(
    ranked: list[Diagnosis], none: float, unknown: float
) -> tuple[float, float]:
    """Of each diagnosis; returns those of nothing being wrong, and of a fault of others."""
    top = max([none, unknown, *(d.score for d in ranked)])
    total = sum(math.exp(score - top) for score in (none, unknown, *(d.score for d in ranked)))
    for diagnosis in ranked:
        diagnosis.p = math.exp(diagnosis.score - top) / total
    return math.exp(none - top) / total, math.exp(unknown - top) / total


def _rule_out(shown: list[Diagnosis], ranked: list[Diagnosis]) -> None:
    """For each diagnosis, the rivals that it was weighed against and why they lost."""
    scores = {d.fault.id: d for d in ranked}
    for diagnosis in shown:
        rivals = [*diagnosis.symptoms, *diagnosis.fault.confused_with]
        for rival in list(dict.fromkeys(rivals))[: RIVALS + len(diagnosis.symptoms)]:
            if not any(rival == d.fault.id for d in shown):
                diagnosis.ruled_out.append((rival, _because(rival, diagnosis, scores.get(rival))))


def _because(rival: str, diagnosis: Diagnosis, found: Diagnosis | None) -> Bilingual:
    if rival in diagnosis.symptoms:
        return Bilingual("它是这个原因的结果", "it is an effect of this cause")
    if found is None:
        return Bilingual("没有任何迹象指向它", "nothing seen points to it")
    against = next((proof for proof in found.proofs if proof.weight < 0), None)
    if against:
        where = f"{against.source} " if against.source else ""
        return Bilingual(f"{where}与它矛盾", f"{where}contradicts it")
    return Bilingual("迹象更弱", "its evidence is weaker")


def _next(shown: list[Diagnosis], is_certain: bool) -> Next:
    """Certain: the check that will show the cure. Else what separates the first from the rest."""
    first = shown[0]
    check = next(iter(first.fault.verify), "")
    if is_certain:
        return Next(Bilingual("", ""), (), check)
    asked = next((d for d in shown if d.fault.ask), None)
    if asked is None or asked.fault.ask is None:
        return Next(_TELL_MORE, (), check)
    return Next(asked.fault.ask, YES_NO, next(iter(asked.fault.verify), check))
