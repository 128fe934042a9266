"""`qwell doctor --fix`: one remedy after the other, with consent, each verified by its check.

A running server treats itself, over HTTP, for only it can restart its worker; without one the
files are treated from here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from qwell.cli.doctor_words import DoctorWords
from qwell.config import Settings
from qwell.doctor import consult
from qwell.doctor.actions import ACTIONS, Impossible, NoServer
from qwell.doctor.journal import Journal
from qwell.doctor.reasons import reason_in
from qwell.doctor.report import Report
from qwell.doctor.treat import Practice

if TYPE_CHECKING:
    from qwell.doctor.fault import Fault, Remedy
    from qwell.doctor.system import System

_PATIENCE_S = 300.0
ELSEWHERE = "the server is on another machine: run `qwell doctor --fix` there"
Look = Callable[[], "System"]


def fix_all(report: Report, look: Look, words: DoctorWords, *, consent: bool) -> bool:
    """Treat every diagnosed fault; whether all of them are gone. Prints what happens."""
    is_well = bool(report.diagnoses)
    for diagnosis in report.diagnoses:
        is_well = _fix(diagnosis, look, words, consent) and is_well
    return is_well


def _fix(diagnosis: dict[str, Any], look: Look, words: DoctorWords, consent: bool) -> bool:
    fault = consult.find_fault(diagnosis["id"])
    able = [remedy for remedy in fault.remedies if remedy.action in ACTIONS]
    if not able:
        _print_manual(diagnosis, words)
        return False
    for remedy in able:
        what = remedy.do.text_in(words.language)
        agreed = consent or (remedy.safety == "confirm" and _asked(words, what))
        result, because = _treated(look, fault, remedy, consent=agreed)
        told = reason_in(because, words.language)
        print(f"{what}: {words.results[result]}" + (f" ({told})" if told else ""))
        if result in ("fixed", "nothing-to-fix"):
            return True
    _print_manual(diagnosis, words)
    return False


def _asked(words: DoctorWords, what: str) -> bool:
    """No answer is no consent."""
    if not sys.stdin.isatty():
        return False
    return input(words.ask_consent.format(what=what)).strip().lower() in ("y", "yes", "是", "好")


def _treated(look: Look, fault: Fault, remedy: Remedy, *, consent: bool) -> tuple[str, str]:
    """Result and reason."""
    system = look()
    if system.facts:
        body = json.dumps({"consent": consent, "fault": fault.id}).encode()
        path = f"/api/fixes/{remedy.id}"
        answer = system.http(path, method="POST", body=body, timeout_s=_PATIENCE_S)
        found = answer.json()
        return str(found.get("result", "failed")), str(found.get("because", found.get("fix", "")))
    if system.is_url_given and not system.is_near:
        return "refused", ELSEWHERE  # what is wrong there is nothing to change here for
    practice = Practice(look, LocalHands(system.settings), Journal(system.settings.data_path))
    done = practice.treat(fault, remedy, consent=consent)
    return done.result, done.because


class LocalHands(NoServer):
    """Without a server the model is fetched and packed by a command, as a start would do it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def restart_worker(self, changes: Mapping[str, Any]) -> None:
        if "model" not in changes:
            super().restart_worker(changes)
            return
        settings = self._settings
        pull = [sys.executable, "-m", "qwell", "pull", settings.model, "--quant", settings.quant]
        done = subprocess.run(
            [*pull, "--cache-dir", str(settings.cache_path)], check=False, stdin=subprocess.DEVNULL
        )
        if done.returncode:
            raise Impossible("the model could not be fetched or packed again")


def _print_manual(diagnosis: dict[str, Any], words: DoctorWords) -> None:
    """The commands of the remedies that only a person can carry out."""
    manual = [r for r in diagnosis.get("remedies", ()) if r["safety"] == "manual"]
    print(words.by_hand if manual else words.no_remedy)
    for remedy in manual:
        print(f"  {remedy['do'][words.language]}")
        for command in remedy.get("commands", ()):
            print(f"    {command}")
