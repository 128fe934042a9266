"""Writes docs/reference/cli.md from the parser, or with --check fails when it is out of date."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from qwell.cli.parser import build_parser

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "cli.md"
HEAD = """\
# The command line

Made from the program's own `--help` by `scripts/generate_docs.py`. Exit codes: 0 done, 1 what was
asked for is not so, 2 an error, shown with what was found, what was expected and what to do.
"""


def page() -> str:
    return "\n".join([HEAD, *(_section(name, command) for name, command in _commands().items())])


def _commands() -> dict[str, argparse.ArgumentParser]:
    actions = build_parser()._actions  # noqa: SLF001  argparse has no public list of them
    choices = next(a.choices for a in actions if isinstance(a, argparse._SubParsersAction))  # noqa: SLF001  the same
    assert isinstance(choices, dict)
    return choices


def _section(name: str, command: argparse.ArgumentParser) -> str:
    rows = [_row(a) for a in command._actions if a.dest != "help"]  # noqa: SLF001  the same
    table = ["| argument | meaning |", "|---|---|", *rows] if rows else []
    about = command.description or ""
    title = [f"## `qwell {name}`", "", f"{about[:1].upper()}{about[1:]}.", ""]
    return "\n".join([*title, *table, ""])


def _row(action: argparse.Action) -> str:
    flag = action.option_strings[-1] if action.option_strings else f"[{action.dest}]"
    value = f" {action.metavar}" if action.option_strings and action.metavar else ""
    return f"| `{flag}{value.replace('|', chr(92) + '|')}` | {action.help} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if stale")
    if parser.parse_args().check:
        is_fresh = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page()
        print(f"{PAGE.name}: {'up to date' if is_fresh else 'run scripts/generate_docs.py'}")
        return 0 if is_fresh else 1
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
