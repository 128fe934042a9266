"""A plan from a file: no engine is measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qwell.cli import main

FIGURES = {"prefill_tok_s": 600, "batch": {"1": 80, "4": 200, "8": 360}}


def test_users_boxes_and_cost_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures, written = tmp_path / "box.json", tmp_path / "plan.json"
    figures.write_text(json.dumps(FIGURES))
    asked = ["bench", "--figures", str(figures), "--users", "500", "--json", str(written)]
    assert main(asked) == 0
    plan = json.loads(written.read_text())["plan"]
    assert f"{plan['boxes']} for 500 users" in capsys.readouterr().out
    assert plan["boxes"] * plan["one_box"]["users"] >= 500


def test_a_box_that_is_too_slow_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = tmp_path / "box.json"
    figures.write_text(json.dumps({"prefill_tok_s": 5, "batch": {"1": 1}}))
    assert main(["bench", "--figures", str(figures)]) == 0
    assert "too slow even for one user" in capsys.readouterr().out
