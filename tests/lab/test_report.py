"""The pages: failures stand in them by name, and the pictures are whole."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from qwell.lab.report import merged, to_html, to_markdown, write_report
from qwell.lab.result import Outcome, Pair, Result


@pytest.fixture
def outcome() -> Outcome:
    fine = Result(
        "disk-full", "data", injected=True, visible=True, detected=True, named=True,
        top=["disk-full"], fixed=True, verified=True, undone=True, layer="host", by="doctor",
        grounded=True, remedy="auto", diagnosis_s=1.2,
    )  # fmt: skip
    missed = Result(
        "proxy-buffering", "nginx", injected=True, visible=True, detected=True, top=["a|b"],
        layer="network", by="doctor", diagnosis_s=0.9,
    )  # fmt: skip
    skipped = Result("clock-skew", "behind", skipped="not installed: libfaketime")
    return Outcome([fine, missed, skipped], [Pair(("x", "y"), ["x"])], 300, ["busy: <late>"])


def test_failures_are_named(outcome: Outcome) -> None:
    page = to_markdown(outcome.to_dict())
    assert "`proxy-buffering/nginx`: not named" in page
    assert "`clock-skew/behind`: skipped, not installed: libfaketime" in page
    assert "false alarm, busy: <late>" in page
    assert "a|b" not in page.replace("a\\|b", "").replace("named a|b", "")


def test_html_escapes(outcome: Outcome) -> None:
    assert "&lt;late&gt;" in to_html(outcome.to_dict())


def test_how_many_went_at_a_time_is_told(outcome: Outcome) -> None:
    outcome.machine |= {"cpus": 2, "lanes": 3}
    assert "on 2 CPUs, 3 scenarios at a time," in to_markdown(outcome.to_dict())


def test_parts_took_as_long_as_all_of_them(outcome: Outcome) -> None:
    outcome.seconds = 600.0  # of the clock: scenarios side by side take longer when added up
    whole = merged([outcome.to_dict(), outcome.to_dict()])
    assert whole["seconds"] == 1200.0
    assert len(whole["faults"]) == 3


def test_what_is_written(outcome: Outcome, tmp_path: Path) -> None:
    write_report(outcome.to_dict(), tmp_path / "lab")
    for name in ("times.svg", "confusion.svg"):
        assert ET.parse(tmp_path / "lab" / name).getroot().tag.endswith("svg")  # noqa: S314  ours
    again = json.loads((tmp_path / "lab" / "lab.json").read_text(encoding="utf-8"))
    assert again["healthy_runs"] == 300
    assert (tmp_path / "lab" / "README.md").read_text(encoding="utf-8").startswith("# The lab")
