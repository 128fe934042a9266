"""The doctor's parts put together, for those who show its answers: terminal, HTTP, monitors.

Loads the catalogue only when something is wrong: a healthy machine has no need of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from qwell.doctor.address import is_near
from qwell.doctor.bundle import Bundle
from qwell.doctor.fault import Fault, Language, Remedy
from qwell.doctor.finding import Finding, Status
from qwell.doctor.report import Report, word_for
from qwell.errors import QwellError

if TYPE_CHECKING:
    from qwell.doctor.diagnose import Diagnosis

_WRONG = (Status.WARN, Status.FAIL)
_SERVER = "api.server"
_BY_THE_SERVER = ("restart-worker",)  # actions that only a server can do
_HERE = re.compile(r"http://127\.0\.0\.1:\d+")
_LOOKED_FOR_IT = ("api.server", "host.local")  # their url is where the server is


def report(findings: Sequence[Finding], language: Language | None = None) -> Report:
    """What the findings mean. language: of reasons that come in one only."""
    wrong = [finding for finding in findings if finding.status in _WRONG]
    if not wrong:
        return Report(word_for(findings), tuple(findings))
    from qwell.doctor.diagnose import diagnose
    from qwell.doctor.own_faults import own_diagnoses
    from qwell.doctor.render import diagnosis_to_dict

    verdict = diagnose([*findings, *_reported(wrong)])
    explained = {s.finding for d in verdict.diagnoses for s in d.fault.signals if s.weight > 0}
    found = [*verdict.diagnoses, *own_diagnoses(wrong, explained)]
    if any(finding.check == _SERVER for finding in wrong):
        found = _of_no_server(found)
    effects = [diagnosis.fault.effect for diagnosis in found]
    port = port_of(findings)
    spoken = language or verdict.language
    shown = tuple(diagnosis_to_dict(diagnosis, spoken, port) for diagnosis in found)
    shown = tuple(_with_address(diagnosis, _far_url(findings)) for diagnosis in shown)
    return Report(word_for(findings, effects), tuple(findings), shown)


def _of_no_server(found: Iterable[Diagnosis]) -> list[Diagnosis]:
    """That none runs comes first, for what it left behind follows from it; only it can be started.

    A worker is restarted by its server: such remedies are left out.
    """
    first = sorted(found, key=lambda diagnosis: _SERVER not in diagnosis.fault.verify)
    return [replace(d, fault=_without_worker(d.fault)) for d in first]


def _without_worker(fault: Fault) -> Fault:
    kept = tuple(r for r in fault.remedies if r.action not in _BY_THE_SERVER)
    return replace(fault, remedies=kept)


def report_of_bundle(bundle: Bundle) -> Report:
    """The same from what was collected on another machine, without looking at this one."""
    return report(bundle.findings)


def _reported(wrong: Iterable[Finding]) -> list[Finding]:
    """The server's own word for a fault, as a finding of its own: ``reported.<fault>``."""
    named = {str(f.facts()["fault"]): f for f in wrong if f.facts().get("fault")}
    return [
        Finding(f"reported.{fault}", f.layer, Status.FAIL, f.evidence, f.because)
        for fault, f in named.items()
    ]


def port_of(findings: Iterable[Finding]) -> str:
    """The server's, as its address says; "" where no check knows it."""
    urls = [str(f.facts().get("url", "")) for f in findings if f.check in _LOOKED_FOR_IT]
    ports = [urlsplit(url).port for url in urls]
    return next((str(port) for port in ports if port), "")


def _far_url(findings: Iterable[Finding]) -> str:
    """The server's, where it is on another machine."""
    urls = [str(f.facts().get("url", "")) for f in findings if f.check in _LOOKED_FOR_IT]
    return next((url.rstrip("/") for url in urls if url and not is_near(url)), "")


def _with_address(diagnosis: dict[str, Any], far_url: str) -> dict[str, Any]:
    """Commands that ask the server of this machine ask the one that was looked at."""
    if not far_url:
        return diagnosis
    remedies = [
        {**remedy, "commands": [_HERE.sub(far_url, c) for c in remedy.get("commands", ())]}
        for remedy in diagnosis.get("remedies", ())
    ]
    return {**diagnosis, "remedies": remedies}


def likeliest(finding: Finding) -> str:
    """The fault that this finding alone speaks for most, "" when none does."""
    from qwell.doctor.catalogue import load
    from qwell.doctor.own_faults import own_diagnoses

    weights = {
        fault.id: signal.weight
        for fault in load().faults.values()
        for signal in fault.signals
        if signal.finding == finding.check and signal.status is finding.status
    }
    if not weights:
        return next((d.fault.id for d in own_diagnoses([finding], ())), "")
    return max(weights, key=lambda fault: weights[fault])


def diagnose_text(
    text: str,
    findings: Sequence[Finding] = (),
    port: str = "",
    language: Language | None = None,
) -> dict[str, Any]:
    """What a symptom or a log means, together with findings where some are given.

    port: of the server, for commands whose evidence names none. language: of reasons that come in
    one only; left out, that of the text.
    """
    from qwell.doctor.diagnose import diagnose_text as by_text
    from qwell.doctor.render import verdict_to_dict

    verdict = by_text(text, findings)
    return verdict_to_dict(replace(verdict, language=language or verdict.language), port)


# ---- the catalogue for readers


def faults() -> list[dict[str, Any]]:
    """In brief, those of the catalogue and then this program's own."""
    return [
        {"id": f.id, "layer": f.layer, "effect": f.effect, "title": f.title.to_dict()}
        for f in _all_faults()
    ]


def _all_faults() -> list[Fault]:
    from qwell.doctor.catalogue import load
    from qwell.doctor.own_faults import own_faults

    return [*load().faults.values(), *own_faults().values()]


def fault(fault_id: str) -> dict[str, Any]:
    """Everything that a reader may want to know. Raises QwellError ``fault-unknown``."""
    known = find_fault(fault_id)
    texts = {
        name: getattr(known, name).to_dict() for name in ("title", "summary", "see", "why", "how")
    }
    return {
        "id": known.id,
        "layer": known.layer,
        "effect": known.effect,
        **texts,
        "remedies": [_remedy(remedy) for remedy in known.remedies],
        "verify": list(known.verify),
        "confused_with": list(known.confused_with),
        "references": list(known.references),
    }


def _remedy(remedy: Remedy) -> dict[str, Any]:
    return {
        "id": remedy.id,
        "safety": remedy.safety,
        "do": asdict(remedy.do),
        "commands": list(remedy.commands),
    }


def find_fault(fault_id: str) -> Fault:
    """By id or alias. Raises QwellError ``fault-unknown``."""
    from qwell.doctor.catalogue import load
    from qwell.doctor.own_faults import own_faults

    if (known := load().find(fault_id) or own_faults().get(fault_id)) is None:
        raise QwellError(
            "fault-unknown",
            found=f"no fault {fault_id[:80]!r} in the catalogue",
            expected="the id of a fault, as an error or a diagnosis names it",
            fix="see /faults, or run `qwell doctor`",
        )
    return known


def find_remedy(remedy_id: str, fault_id: str = "") -> tuple[Fault, Remedy]:
    """A remedy with the fault that it is for. Raises QwellError when there is none, or several."""
    known = [find_fault(fault_id)] if fault_id else _all_faults()
    found = [(f, r) for f in known for r in f.remedies if r.id == remedy_id]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f.id for f, _ in found) or "none"
    raise QwellError(
        "remedy-unknown",
        found=f"{remedy_id[:80]!r} is a remedy for {names}",
        expected="a remedy of one fault",
        fix="name the fault, too, as the diagnosis has it",
    )
