"""`qwell diagnose`: what a symptom or a log means. Standard library only."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qwell.cli.doctor import system_of
from qwell.cli.given_text import Given, given_text
from qwell.cli.language import preferred, writes_utf8
from qwell.doctor.finding import Finding
from qwell.errors import QwellError

if TYPE_CHECKING:
    from qwell.doctor.diagnose import Verdict


def run(options: argparse.Namespace) -> int:
    """Prints the verdict. Exit code 0, whatever it is."""
    given, found = _bundle(options.file) or (_given(options.file), ())
    live = (*found, *_live(options)) if options.live else found
    verdict = _verdict(given, live)
    if options.json:
        print(json.dumps(verdict.to_dict(), ensure_ascii=not writes_utf8(), indent=2))
        return 0
    from qwell.doctor.catalogue import load
    from qwell.doctor.render import verdict_to_text

    print(verdict_to_text(verdict, preferred(), load().harmless))
    return 0


def _verdict(given: Given, live: Sequence[Finding]) -> Verdict:
    """What a check has seen is named, too, where the text tells of nothing."""
    from qwell.doctor.diagnose import diagnose, diagnose_text

    verdict = diagnose_text(given.text, live, unread=given.unread)
    if verdict.verdict == "fault" or not live:
        return verdict
    seen = diagnose(live)
    if seen.verdict != "fault":
        return verdict
    return replace(verdict, verdict="fault", diagnoses=seen.diagnoses, next=seen.next)


def _bundle(name: str) -> tuple[Given, Sequence[Finding]] | None:
    """Log and findings of a file that `qwell bundle` wrote; None for any other."""
    path = Path(name)
    if path.suffix != ".json" or not path.is_file():
        return None
    from qwell.doctor.bundle import read_bundle

    try:
        bundle = read_bundle(path)
    except QwellError:  # a log of another program in JSON
        return None
    return Given("\n".join(map(str, bundle.content.get("log", ())))), bundle.findings


def _given(name: str) -> Given:
    return given_text(
        name,
        expected="a file with a symptom, a log, or both, or a bundle; - for standard input",
        fix="docker logs CONTAINER 2>&1 | qwell diagnose -",
    )


def _live(options: argparse.Namespace) -> Sequence[Finding]:
    from qwell.doctor.observe import observe

    return observe(system_of(options))
