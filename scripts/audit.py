"""Asks whether what is installed has known vulnerabilities: pip-audit and `npm audit`.

Where the database cannot be reached, that is said and nothing fails. Findings are printed; with
--strict they are the exit code, too. Without it they do not stop a build: an advisory published
tonight says nothing about what was changed today.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PYTHON_SOURCE = "https://pypi.org/pypi/pip/json"
PATIENCE_S = 5.0
LIMIT_S = 300.0


def unreachable(url: str) -> str:
    """Why the address does not answer; empty when it does."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S):  # noqa: S310  the constant above
            return ""
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))


def python_findings() -> list[str] | str:
    """One line a vulnerability, or why nobody could be asked."""
    if reason := unreachable(PYTHON_SOURCE):
        return f"{PYTHON_SOURCE} is not reachable ({reason})"
    audit = Path(sys.executable).with_name("pip-audit")
    command = [str(audit), "--format=json", "--skip-editable", "--progress-spinner=off"]
    return read_pip_audit(*_output(command))


def npm_findings() -> list[str] | str:
    """The same for the page's packages that reach a browser."""
    command = ["scripts/with_node.sh", "npm", "--prefix", "web", "audit", "--omit=dev", "--json"]
    return read_npm_audit(*_output(command))


def read_pip_audit(output: str, errors: str) -> list[str] | str:
    report = _json(output)
    if report is None:
        return f"pip-audit gave no report: {_last_line(errors)}"
    return [
        f"{package['name']} {package['version']}: {found['id']}"
        f" (fixed in {', '.join(found['fix_versions']) or 'no version yet'})"
        for package in report["dependencies"]
        for found in package.get("vulns", [])
    ]


def read_npm_audit(output: str, errors: str) -> list[str] | str:
    report = _json(output)
    if report is None or "vulnerabilities" not in report:
        reason = (report or {}).get("message") or _last_line(errors)
        return f"npm's registry gave no report: {reason}"
    return [
        f"{name}: {found['severity']} ({found['range']})"
        for name, found in report["vulnerabilities"].items()
    ]


def _output(command: list[str]) -> tuple[str, str]:
    """Standard output and error; both tools exit with 1 when they found something."""
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", str(error)
    return done.stdout, done.stderr


def _json(text: str) -> dict[str, Any] | None:
    try:
        report = json.loads(text)
    except ValueError:
        return None
    return report if isinstance(report, dict) else None


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]


def tell(what: str, findings: list[str] | str) -> int:
    """Print what came out. Returns how many vulnerabilities are known."""
    if isinstance(findings, str):
        print(f"{what}: skipped: {findings}")
        return 0
    print(f"{what}: {len(findings)} known vulnerabilities")
    for line in findings:
        print(f"  {line}")
    return len(findings)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strict", action="store_true", help="exit code 1 when any is known")
    options = parser.parse_args()
    n_known = tell("Python packages", python_findings()) + tell("npm packages", npm_findings())
    return int(options.strict and n_known > 0)


if __name__ == "__main__":
    sys.exit(main())
