"""`qwell lab`: list the faults that can be caused, cause them and score the doctor, show one."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from qwell.cli.language import preferred
from qwell.errors import QwellError

if TYPE_CHECKING:
    from qwell.lab.case import Case


def run(options: argparse.Namespace) -> int:
    """Exit code: 0, or 1 when a scenario that counts was not named, cured or taken back."""
    from qwell.lab import case

    try:
        cases = case.chosen(options.fault)
    except KeyError as error:
        raise QwellError(
            "fault-unknown",
            found=f"no scenario {error.args[0]!r} in the lab",
            expected="a fault, or a fault with its variant",
            fix="qwell lab list",
        ) from None
    if options.action == "list":
        return _list(cases)
    if options.action == "demo":
        from qwell.lab.demo import demo

        return demo(cases[0], preferred())
    return _run(options, cases)


def _list(cases: list[Case]) -> int:
    from qwell.lab.excused import EXCUSED

    for case in cases:
        lacking = case.lacks()
        print(f"{case.name:62} {case.about}{f' [{lacking}]' if lacking else ''}")
    print()
    for fault, reason in EXCUSED.items():
        print(f"{fault:62} not caused: {reason}")
    return 0


def _run(options: argparse.Namespace, cases: list[Case]) -> int:
    from qwell.lab.report import write_report
    from qwell.lab.run import run_lab

    wanted = [case for case in cases if not options.quick or case.quick]
    is_whole = not options.fault
    outcome = run_lab(
        wanted,
        n_pairs=options.pairs if is_whole else 0,
        n_healthy=options.healthy if is_whole else 0,
        controls=not options.without_controls,
        minutes=options.minutes,
        n_lanes=options.lanes,
        watch=lambda line: print(line, file=sys.stderr, flush=True),
    )
    found = outcome.to_dict()
    if options.json:
        Path(options.json).write_text(
            json.dumps(found, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
        )
    if options.report:
        write_report(found, Path(options.report))
    print(json.dumps(found["summary"], indent=2))
    valid = [result for result in outcome.results if result.is_valid]
    is_good = all(r.named and r.verified and r.undone and not r.false_passes for r in valid)
    return 0 if is_good and not outcome.alarms else 1
