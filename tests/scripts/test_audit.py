"""The audit reads both reports, and says why there is none."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def audit() -> ModuleType:
    path = Path(__file__).parents[2] / "scripts" / "audit.py"
    spec = importlib.util.spec_from_file_location("audit", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_python_package_is_named_with_its_fix(audit: Any) -> None:
    found = {"id": "PYSEC-1", "fix_versions": ["2.0"], "description": "bad"}
    packages = [
        {"name": "a", "version": "1.0", "vulns": [found]},
        {"name": "b", "version": "1.0", "vulns": []},
        {"name": "c", "skip_reason": "not on PyPI"},
    ]
    report = json.dumps({"dependencies": packages, "fixes": []})
    assert audit.read_pip_audit(report, "") == ["a 1.0: PYSEC-1 (fixed in 2.0)"]


def test_an_npm_package_is_named_with_its_severity(audit: Any) -> None:
    report = {"vulnerabilities": {"x": {"severity": "high", "range": "<2"}}, "metadata": {}}
    assert audit.read_npm_audit(json.dumps(report), "") == ["x: high (<2)"]


@pytest.mark.parametrize(
    ("output", "errors", "reason"),
    [
        ("", "line\nconnection refused\n", "connection refused"),
        ('{"message": "request failed", "error": {}}', "", "request failed"),
        ("[]", "", "it said nothing"),
    ],
)
def test_no_report_is_told_with_its_reason(
    audit: Any, output: str, errors: str, reason: str
) -> None:
    assert reason in audit.read_npm_audit(output, errors)


def test_a_source_that_does_not_answer_is_no_failure(audit: Any, free_port: int) -> None:
    assert audit.unreachable(f"http://127.0.0.1:{free_port}/")


def test_only_findings_are_counted(audit: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.tell("Python packages", "it is not reachable") == 0
    assert audit.tell("npm packages", ["x: high (<2)"]) == 1
    shown = capsys.readouterr().out
    assert "Python packages: skipped: it is not reachable" in shown
    assert "npm packages: 1 known vulnerabilities\n  x: high (<2)" in shown
