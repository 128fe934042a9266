"""Reads pasted text: which signatures of the catalogue occur in which line, and what was said.

Every hit becomes a Finding that cites its line. Whether a fault follows is not decided here.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from qwell.doctor.catalogue import NAMED, Catalogue, load
from qwell.doctor.fault import Fault, Harmless, Signature
from qwell.doctor.finding import Evidence, Finding, Layer, Status
from qwell.doctor.line import Line
from qwell.doctor.read_caller import with_callers
from qwell.doctor.read_denied import denies, without_denied
from qwell.doctor.read_lines import TELLING, split_all
from qwell.doctor.read_listing import with_empty_folders
from qwell.doctor.read_named import named_in
from qwell.doctor.read_pattern import Anchors, anchors, compiled
from qwell.doctor.read_rest import lines_with_messages
from qwell.doctor.redact import Redactor

MOST_DENIALS = 40  # lines in which a person says what is not so
MOST_TRIES = 60  # lines on which one pattern is tried
LONGEST_PROSE = 1500  # characters
LONGEST_GIST, LONGEST_TOLD = 3000, 400  # characters of a log, and of one of its lines
HARMLESS = "harmless."
RETRY = "retry-then-success"
_WORKED = re.compile(
    r"\b(?:download|pull|load|start|connect)\w*.{0,40}\b(?:complete|completed|finished|done|ok|ready|established)\b"
    r"|\b(?:ready|succeeded|successfully|success)\b|成功|完成|就绪",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text shows. prose is what a person said, without lines of logs."""

    findings: tuple[Finding, ...]
    prose: str
    quote: str  # its first line, or the first that tells something of a log alone; redacted
    gist: str  # what a person said, and the lines of the log that tell most
    head: str  # the beginning of everything, for context such as "docker run"
    has_log: bool
    receipt: dict[str, int]  # what was redacted: rule -> count


class _Index:
    """All lines as one lower-case text, to search for anchors at once."""

    def __init__(self, lines: list[Line]) -> None:
        self.lines = lines
        self._starts: list[int] = []
        parts, position = [], 0
        for line in lines:
            self._starts.append(position)
            lowered = line.text.lower()
            parts.append(lowered)
            position += len(lowered) + 1
        self._text = "\n".join(parts)

    def possible(self, known: Anchors) -> frozenset[str]:
        """Patterns that some line may match."""
        return known.possible(self._text)

    def candidates(self, pattern: str) -> Iterator[Line]:
        """Lines that hold an anchor of the pattern; all lines for a pattern without anchor."""
        found = anchors(pattern)
        if not found:
            yield from self.lines[: 10 * MOST_TRIES]
        for anchor in found:
            yield from self._holding(anchor)

    def _holding(self, anchor: str) -> Iterator[Line]:
        position = self._text.find(anchor)
        tries = 0
        while position >= 0 and tries < MOST_TRIES:
            which = bisect_right(self._starts, position) - 1
            yield self.lines[which]
            tries += 1
            if which + 1 == len(self._starts):
                return
            position = self._text.find(anchor, self._starts[which + 1])


def read(text: str, catalogue: Catalogue | None = None) -> Reading:
    """Findings in the text: ``log.<fault>.<n>`` (fail) and ``harmless.<id>`` (pass)."""
    catalogue = catalogue or load()
    read_fully, rest = split_all(text)
    more = lines_with_messages(rest, catalogue, _WORKED)
    lines = sorted([*read_fully, *more], key=lambda line: line.number)
    lines = list(with_callers(with_empty_folders(lines)))
    said = "\n".join(line.text for line in lines if line.is_prose)[:LONGEST_PROSE]
    lines = _without_denied(lines, catalogue)
    index = _Index(lines)
    redactor = Redactor()
    possible = index.possible(catalogue.anchors_in_logs)
    harmless = list(_harmless_hits(index, catalogue.harmless, possible))
    innocent = {line.number for entry, line in harmless if not entry.background}
    innocent |= _overcome(harmless, lines)
    findings = [_harmless_finding(entry, line, redactor) for entry, line in harmless]
    for fault in catalogue.faults.values():
        for signature in fault.signatures:
            if possible.isdisjoint(signature.patterns):
                continue
            finding = _find(fault, signature, index, innocent, redactor)
            if finding:
                findings.append(finding)
    findings += _named(lines, redactor)
    cited = set(_cited(findings, catalogue))
    noise = {line.number for _, line in harmless} - cited
    telling = _telling(_without(noise, lines), cited)
    prose = "\n".join(line.text for line in lines if line.is_prose)[:LONGEST_PROSE]
    return Reading(
        tuple(findings),
        prose,
        redactor.redact((said.strip() or telling.strip()).partition("\n")[0][:200]),
        f"{prose}\n{telling}",
        "\n".join(line.text for line in lines[:60])[:6000],
        any(not line.is_prose for line in lines),
        redactor.receipt,
    )


def _cited(findings: list[Finding], catalogue: Catalogue) -> Iterator[int]:
    """Lines with a signature that speaks for a fault."""
    signatures = (s for fault in catalogue.faults.values() for s in fault.signatures)
    for_a_fault = {signature.id for signature in signatures if signature.weight > 0}
    for finding in findings:
        if finding.check in for_a_fault:
            yield int(finding.evidence[0].source.removeprefix("log:"))


def _without(noise: set[int], lines: list[Line]) -> list[Line]:
    """Without harmless lines, where others tell of trouble: they would only drown it out."""
    others = [line for line in lines if line.number not in noise]
    has_trouble = any(TELLING.search(line.text) for line in others if not line.is_prose)
    return others if has_trouble else lines


def _without_denied(lines: list[Line], catalogue: Catalogue) -> list[Line]:
    """Lines without what a person says is not so."""
    said = [line for line in lines if line.is_prose and denies(line.text)][:MOST_DENIALS]
    if not said:
        return lines
    prose = "\n".join(line.text for line in said).lower()
    possible = catalogue.anchors_in_logs.possible(prose) | catalogue.anchors_in_words.possible(
        prose
    )
    patterns = catalogue.deniable & possible
    shorter = {n.number: replace(n, text=without_denied(n.text, patterns)) for n in said}
    return [shorter.get(line.number, line) for line in lines]


def _named(lines: list[Line], redactor: Redactor) -> Iterator[Finding]:
    """Faults that lines name by their id: once each, where they do so first."""
    seen: set[str] = set()
    for line in lines:
        for fault in named_in(line.text):
            if fault not in seen:
                seen.add(fault)
                facts = {**_facts_of(line.text), "fault": fault}
                yield _found(f"log.{fault}.{NAMED}", "api", line, facts, redactor)


def _telling(lines: list[Line], cited: set[int]) -> str:
    """All lines of a short log; of a long one the cited ones, and the last with trouble in it."""
    log = [line for line in lines if not line.is_prose]
    if sum(min(len(line.text), LONGEST_TOLD) for line in log) > LONGEST_GIST:
        log = [line for line in log if line.number in cited or TELLING.search(line.text)]
    kept, room = set[int](), LONGEST_GIST
    for line in sorted(log, key=lambda line: (line.number not in cited, -line.number)):
        room -= min(len(line.text), LONGEST_TOLD)
        if room < 0:
            break
        kept.add(line.number)
    return "\n".join(line.text[:LONGEST_TOLD] for line in log if line.number in kept)


def _overcome(harmless: list[tuple[Harmless, Line]], lines: list[Line]) -> set[int]:
    """Lines of retries after which it worked."""
    worked = max((line.number for line in lines if _WORKED.search(line.text)), default=0)
    return {line.number for entry, line in harmless if entry.id == RETRY and line.number < worked}


def _find(
    fault: Fault, signature: Signature, index: _Index, innocent: set[int], redactor: Redactor
) -> Finding | None:
    """The first line with the signature. Text against a fault counts wherever it stands."""
    for pattern in signature.patterns:
        for line in index.candidates(pattern):
            if signature.weight > 0 and line.number in innocent:
                continue
            match = compiled(pattern).search(line.text)
            if match:
                facts = _facts_of(line.text)
                facts |= {k: v for k, v in match.groupdict().items() if v}
                return _finding(fault, signature, line, facts, redactor)
    return None


_FACTS = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        ("port", r"(?:\bport[ :=]{1,2}|[\w.\]]:|\'[\d.]+\', )(\d{2,5})\b"),
        ("path", r"[\'\"`\s](/[\w.\-]{1,60}(?:/[\w.\- ]{0,60}){0,12})[\'\"`]"),
        ("module", r"no module named [\'\"]?([\w.]{1,80})"),
        ("library", r"\b(lib[\w+\-]{1,40}\.so(?:\.\d{1,4}){0,3})"),
        ("host", r"(?:host=\'|resolve (?:host:? )?\'?|ENOTFOUND |://)([A-Za-z][\w.\-]{2,80})"),
        ("container", r"^([\w.\-]{2,60}) exited with code"),
    )
)


def _facts_of(text: str) -> dict[str, str]:
    """What fills the placeholders of commands, where the line names it."""
    found = ((name, pattern.search(text)) for name, pattern in _FACTS)
    return {name: match[1] for name, match in found if match}


def _finding(
    fault: Fault, signature: Signature, line: Line, facts: dict[str, str], redactor: Redactor
) -> Finding:
    return _found(signature.id, fault.layer, line, facts, redactor)


def _found(
    check: str, layer: Layer, line: Line, facts: Mapping[str, str], redactor: Redactor
) -> Finding:
    source = f"log:{line.number}"
    evidence = [Evidence("text", redactor.redact(line.text.strip()[:400]), source)]
    evidence += [Evidence(key, value, source) for key, value in facts.items()]
    if line.container:
        evidence.append(Evidence("container", line.container, source))
    return Finding(check, layer, Status.FAIL, tuple(evidence))


def _harmless_hits(
    index: _Index, entries: tuple[Harmless, ...], possible: frozenset[str]
) -> Iterator[tuple[Harmless, Line]]:
    for entry in entries:
        seen: set[int] = set()
        for pattern in possible.intersection(entry.patterns):
            for line in index.candidates(pattern):
                if line.number not in seen and compiled(pattern).search(line.text):
                    seen.add(line.number)
                    yield entry, line


def _harmless_finding(entry: Harmless, line: Line, redactor: Redactor) -> Finding:
    text = redactor.redact(line.text.strip()[:400])
    evidence = (Evidence("text", text, f"log:{line.number}"),)
    return Finding(HARMLESS + entry.id, "host", Status.PASS, evidence)
