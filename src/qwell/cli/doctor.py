"""`qwell doctor`: run the checks, say what they mean, and with --fix put it right.

Standard library only; a table where `rich` can be imported.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from qwell.cli.address import url_given
from qwell.cli.doctor_words import DoctorWords, words_for
from qwell.cli.language import preferred, writes_utf8
from qwell.config import Settings, load
from qwell.errors import QwellError

if TYPE_CHECKING:
    from qwell.doctor.finding import Finding, Layer
    from qwell.doctor.observe import Watch
    from qwell.doctor.report import Report
    from qwell.doctor.system import System


def run(options: argparse.Namespace) -> int:
    """Exit code: 0 healthy, 1 degraded, 2 broken, 3 could not tell."""
    from qwell.doctor.report import EXIT_CODES

    if options.bundle and options.fix:
        raise QwellError(
            "config-invalid",
            found="--fix with --bundle",
            expected="one of them: a bundle tells of another machine",
            fix="qwell doctor --fix",
        )
    words = words_for(preferred())
    report = _reopened(options.bundle) if options.bundle else _examined(options, words)
    if options.json:
        print(json.dumps(report.to_dict(), ensure_ascii=not writes_utf8(), indent=2))
    else:
        from qwell.cli.doctor_view import show

        show(report, words, verbose=options.verbose)
    if options.fix and not options.bundle and report.wrong:
        from qwell.cli.doctor_fix import fix_all

        is_well = fix_all(report, lambda: system_of(options), words, consent=options.yes)
        return 0 if is_well else EXIT_CODES[report.status]
    return EXIT_CODES[report.status]


def system_of(options: argparse.Namespace) -> System:
    """The machine with its settings; settings that cannot be used are a finding, not an end.

    A --url that is none is an end: raises QwellError.
    """
    from qwell.doctor.system import System

    url = url_given(options.url)
    try:
        settings, _ = load(vars(options))
        return System(settings, url=url or _url_of_running(options, settings))
    except QwellError as error:
        return System(Settings(), settings_error=str(error), url=url)


def _url_of_running(options: argparse.Namespace, settings: Settings) -> str:
    """Where the server of this data folder answers, whatever its port; "" where none runs."""
    from qwell.doctor.run_record import other_server

    if vars(options).get("port") is not None:
        return ""
    record = other_server(settings.data_path)
    return record.url if record else ""


def _examined(options: argparse.Namespace, words: DoctorWords) -> Report:
    from qwell.doctor.checks import CHECKS
    from qwell.doctor.consult import report
    from qwell.doctor.observe import CAP_S, DEEP_CAP_S, observe, select

    layers = cast("list[Layer]", options.layer or [])
    system = system_of(options)
    if options.deep:
        system.keep("is deep", value=True)
    checks = select(CHECKS, layers=layers, deep=options.deep)
    with _progress(len(checks), words) as watch:
        cap_s = DEEP_CAP_S if options.deep else CAP_S
        findings = observe(system, checks, cap_s=cap_s, watch=watch)
    return report(findings)


def _reopened(path: str) -> Report:
    from qwell.doctor.bundle import read_bundle
    from qwell.doctor.consult import report_of_bundle

    return report_of_bundle(read_bundle(Path(path)))


@contextmanager
def _progress(n_checks: int, words: DoctorWords) -> Iterator[Watch]:
    """A counter on a terminal's standard error, gone when the checks are done."""
    n_done = 0

    def watch(_finding: Finding) -> None:
        nonlocal n_done
        n_done += 1
        if sys.stderr.isatty():
            print(f"\r{words.checking} {n_done}/{n_checks}", end="", file=sys.stderr, flush=True)

    yield watch
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
