"""A report in the terminal: a table where `rich` can be imported, else lines of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from qwell.cli.doctor_words import DoctorWords, words_for
from qwell.cli.language import preferred
from qwell.doctor.finding import Finding
from qwell.doctor.reasons import reason_in
from qwell.doctor.report import Report

Row = tuple[str, str, str, str]
_STYLES = {"pass": "green", "warn": "yellow", "fail": "red", "skip": "dim", "error": "magenta"}
_SHOWN = ("fail", "warn", "error")


def show(report: Report, words: DoctorWords, *, verbose: bool = False) -> None:
    """Print what is wrong and what it means; with verbose every check."""
    shown = [f for f in report.findings if verbose or f.status.value in _SHOWN]
    if shown:
        _print_table(shown, words)
    print(summary(report, words))
    for line in diagnosis_lines(report, words):
        print(line)


def summary(report: Report, words: DoctorWords) -> str:
    n = Counter(finding.status.value for finding in report.findings)
    counts = words.summary.format(
        passed=n["pass"], wrong=n["fail"] + n["warn"], skipped=n["skip"], errors=n["error"]
    )
    said = f"qwell: {words.status[report.status]} ({counts})"
    if report.is_locked_out:
        return f"{said}\n{words.locked_out}"
    return f"{said}\n{words.no_server}" if report.has_no_server else said


def diagnosis_lines(report: Report, words: DoctorWords) -> Iterator[str]:
    if report.wrong and not report.diagnoses:
        yield words.unknown_cause
    for diagnosis in report.diagnoses:
        yield ""
        title = diagnosis["title"][words.language]
        yield f"{words.cause}: {title} [{diagnosis['id']}, {diagnosis['p']:.0%}]"
        for item in diagnosis.get("evidence", ()):
            yield f"  {words.why}: {reason_in(item.get('text', ''), words.language)}"
        for remedy in diagnosis.get("remedies", ()):
            yield from _remedy_lines(remedy, words)


def _remedy_lines(remedy: dict[str, Any], words: DoctorWords) -> Iterator[str]:
    yield f"  {words.fix}: {remedy['do'][words.language]} ({remedy['id']}, {remedy['safety']})"
    for command in remedy.get("commands", ()):
        yield f"      {command}"


def row(finding: Finding, words: DoctorWords) -> Row:
    facts = " ".join(f"{key}={value}" for key, value in finding.facts().items())
    because = reason_in(finding.because, words.language)
    return (
        words.layers[finding.layer],
        finding.check,
        words.outcome[finding.status.value],
        "; ".join(part for part in (because, facts) if part),
    )


def _print_table(findings: Iterable[Finding], words: DoctorWords) -> None:
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        print_plain([row(finding, words) for finding in findings], words)
        return
    console = Console()
    if not console.is_terminal:
        print_plain([row(finding, words) for finding in findings], words)
        return
    table = Table(*words.columns, box=None, pad_edge=False)
    for finding in findings:
        layer, name, outcome, evidence = row(finding, words)
        style = _STYLES[finding.status.value]
        table.add_row(layer, name, Text(outcome, style), Text(evidence, overflow="fold"))
    console.print(table)


def print_plain(rows: list[Row], words: DoctorWords) -> None:
    """Columns parted by two blanks; the last one as long as it is."""
    table = [words.columns, *rows]
    widths = [max(len(line[i]) for line in table) for i in range(3)]
    for line in table:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        print("  ".join([*cells, line[3]]).rstrip())


def preflight_lines(findings: Iterable[Finding]) -> Iterator[str]:
    """One line for each, before anything else is said at a start."""
    words = words_for(preferred())
    for finding in findings:
        _, name, outcome, evidence = row(finding, words)
        yield f"{outcome.lower():<7} {name}: {evidence}"
    yield f"        {words.more}"
