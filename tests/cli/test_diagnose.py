"""`qwell diagnose` and `qwell explain`."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from qwell.cli import main
from qwell.doctor.finding import Finding, Status


def test_a_file_is_diagnosed_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.txt"
    log.write_text("OSError: [Errno 28] No space left on device\n", encoding="utf-8")
    assert main(["diagnose", str(log), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["faults"][0]["id"] == "disk-full"


def test_standard_input_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = io.TextIOWrapper(io.BytesIO("容器退出码 137\n".encode() + b"\xff\xfe"))
    monkeypatch.setattr(sys, "stdin", given)
    assert main(["diagnose", "--lang", "zh"]) == 0
    assert "oom-killed" in capsys.readouterr().out


def test_nothing_wrong_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").write_text("What is CORS?", encoding="utf-8")
    assert main(["diagnose", str(tmp_path / "x"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["faults"] == []


def test_a_bundle_is_diagnosed_by_its_findings_and_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full = Finding("host.disk_space", "host", Status.FAIL).to_dict()
    content = {"findings": [full], "log": ["ENOSPC: no space left on device, write"]}
    (tmp_path / "b.json").write_text(json.dumps(content), encoding="utf-8")
    assert main(["diagnose", str(tmp_path / "b.json"), "--json"]) == 0
    first = json.loads(capsys.readouterr().out)["faults"][0]
    assert first["id"] == "disk-full"
    assert {item["source"] for item in first["evidence"]} >= {"host.disk_space", "log:1"}


def test_a_missing_file_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", str(tmp_path / "none")]) == 2
    assert "fix:" in capsys.readouterr().err


@pytest.mark.parametrize(("language", "title"), [("zh", "# 磁盘已满"), ("en", "# Disk is full")])
def test_a_fault_is_explained(
    language: str, title: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "disk-full", "--lang", language]) == 0
    assert capsys.readouterr().out.startswith(title)


def test_an_alias_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "half-on-cpu"]) == 0
    assert "wrong-dtype-on-cpu" in capsys.readouterr().out


def test_all_faults_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 105


def test_an_unknown_fault_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "disk-ful"]) == 2
    assert "qwell explain disk-full" in capsys.readouterr().err
