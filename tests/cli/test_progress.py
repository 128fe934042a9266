"""Progress without a terminal is a few lines; with one, a bar that knows bytes."""

from __future__ import annotations

import pytest
from rich.progress import Progress, TaskID

from qwell.cli.progress import Amount, describe_stage, showing, watching_weights
from qwell.weights.progress import Progress as Step


def test_each_stage_and_each_tenth_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with watching_weights() as report:
        for done in range(0, 101, 5):
            report(Step("download", done, 100))
        report(Step("pack", 0, 0))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [*(f"downloading: {n}%" for n in range(0, 101, 10)), "packing: 0%"]


def test_unknown_stages_are_told_as_they_are() -> None:
    assert describe_stage("") == "starting"
    assert describe_stage("polish") == "polish"


@pytest.mark.parametrize(
    ("stage", "done", "total", "text"),
    [
        ("download", 5_000_000, 10_000_000, "5.0 MB of 10.0 MB"),
        ("pack", 1, 4, " 25%"),
        ("download", 0.5, 1, " 50%"),
        ("probe", 0, None, ""),
    ],
)
def test_amounts(stage: str, done: float, total: float | None, text: str) -> None:
    bar = Progress(disable=True)
    task: TaskID = bar.add_task("x", total=total, completed=done, stage=stage)  # type: ignore[arg-type]  # rich rounds for itself
    assert Amount().render(bar.tasks[task]).plain == text


def test_in_a_terminal_a_bar_is_drawn(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    with showing() as show:
        show("", 0, 1)
        show("download", 1_000_000, 2_000_000)
        show("pack", 1, 2)
    drawn = capsys.readouterr().err
    assert "packing" in drawn
    assert "50%" in drawn
