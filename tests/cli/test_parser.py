"""Every setting is a flag of `qwell serve`, and the reference page is what --help says."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import pytest

import qwell as package
from qwell.cli import main
from qwell.cli.parser import build_parser
from qwell.config import Settings

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("knob", fields(Settings), ids=lambda knob: knob.name)
def test_every_setting_is_a_flag_with_its_meaning(
    knob: Field[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"--{knob.name.replace('_', '-')} " in shown
    assert f"{knob.metadata['help']} (QWELL_{knob.name.upper()}" in shown


def test_the_reference_page_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "generate_docs.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "words",
    [
        "disk-full lfs-pointer --json found.json",
        "--json found.json disk-full lfs-pointer",
        "disk-full --json found.json lfs-pointer",
    ],
)
def test_names_may_stand_before_and_after_flags(words: str) -> None:
    options = build_parser().parse_args(["lab", "run", *words.split()])
    assert options.action == "run"
    assert options.fault == ["disk-full", "lfs-pointer"]
    assert options.json == "found.json"


@pytest.mark.parametrize(
    ("line", "found", "expected"),
    [
        ("lab run --jsn found.json disk-full", "unrecognized arguments: --jsn", "--json?"),
        ("serve --prot 9000", "unrecognized arguments: --prot 9000", "--port?"),
        ("serv", "argument COMMAND: invalid choice: 'serv'", "serve?"),
        ("serve --port", "argument --port: expected one argument", "what the help lists"),
        ("", "the following arguments are required: COMMAND", "what the help lists"),
    ],
)
def test_what_cannot_be_read_is_an_error_as_all_others_are(
    line: str, found: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.split()) == 2
    err = capsys.readouterr().err
    assert "config-invalid" in err
    assert found in err
    assert expected in err
    assert "--help`" in err


def test_what_cannot_be_read_is_said_in_chinese(qwell: Any) -> None:
    done = qwell("serve", "--prot", "9000", LANG="zh_CN.UTF-8")
    assert done.returncode == 2
    assert "不认识的参数：--prot 9000" in done.stderr
    assert "是不是想写 --port？" in done.stderr


@pytest.mark.parametrize("option", ["--version", "version"])
def test_the_version_is_told(option: str, qwell: Any) -> None:
    done = qwell(option)
    assert done.returncode == 0
    assert "qwell" in done.stdout
    assert package.__version__ in done.stdout


def test_versions_as_json(qwell: Any) -> None:
    assert '"python": "3.' in qwell("version", "--json").stdout


def test_no_command_is_a_usage_error(qwell: Any) -> None:
    done = qwell()
    assert done.returncode == 2
    assert "COMMAND" in done.stderr
