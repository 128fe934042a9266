"""Faults that are known by name alone: this program's own failures and refusals.

They take no part in reading logs, so that a log of another program is never mistaken for one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Container, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from qwell.doctor.catalogue import fault_of
from qwell.doctor.diagnose import Diagnosis, Proof
from qwell.doctor.fault import Fault
from qwell.doctor.finding import Finding

FILE = Path(__file__).with_name("own_faults.toml")
CERTAINTY = 0.95
_SEEN = {"zh": "程序在报错里写出了这个编号。", "en": "The program names it in its message."}
_NONE: Mapping[str, Any] = {
    "explains": [],
    "confused_with": [],
    "aliases": [],
    "references": [],
    "phrases": {"zh": [], "en": []},
}


@cache
def own_faults() -> Mapping[str, Fault]:
    """By id."""
    entries = tomllib.loads(FILE.read_text(encoding="utf-8"))["fault"]
    return {entry["id"]: _complete(entry) for entry in entries}


def _complete(entry: Mapping[str, Any]) -> Fault:
    summary = entry["summary"]
    texts = {"see": summary, "why": summary, "how": _SEEN}
    return fault_of({**_NONE, **texts, **entry})


def own_diagnoses(wrong: Iterable[Finding], explained: Container[str]) -> list[Diagnosis]:
    """One for each fault that the program names, or that its one check sees.

    explained: checks whose failure another diagnosis accounts for.
    """
    found: dict[str, Diagnosis] = {}
    for finding in wrong:
        for fault in own_faults().values():
            is_named = finding.facts().get("fault") == fault.id
            is_seen = finding.check in fault.verify and finding.check in _SPECIFIC
            if is_named or (is_seen and finding.check not in explained):
                _add(found.setdefault(fault.id, Diagnosis(fault, 0.0, CERTAINTY)), finding)
    return list(found.values())


# checks that only one fault fails; the others of own_faults.toml show a cure, and nothing more
_SPECIFIC = frozenset(
    (
        "api.settings",
        "api.database",
        "api.terminal_event",
        "engine.responsive",
        "engine.same_answer",
        "dialogue.not_degenerate",
        "engine.speed",
        "engine.instruction_set",
        "engine.fast_cpu",
        "network.address",
        "network.proxy_form",
        "browser.page",
        "host.processes",
        "host.cpu_steal",
        "host.temporary_folder",
        "container.home",
    )
)


def _add(diagnosis: Diagnosis, finding: Finding) -> None:
    source = finding.evidence[0].source if finding.evidence else finding.check
    facts = finding.facts()
    line = int(source[4:]) if source.startswith("log:") else 0
    diagnosis.proofs.append(Proof(line, str(facts.get("text", finding.because)), source, 1.0))
    diagnosis.facts.update({key: value for key, value in facts.items() if key != "text"})
