"""What is done first when time may be short, and what wrong fixes amount to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qwell.doctor.actions import ACTIONS
from qwell.doctor.consult import find_fault
from qwell.doctor.fault import Bilingual, Remedy
from qwell.doctor.way_back import NOTHING
from qwell.lab import leftovers, wrong_fixes
from qwell.lab.case import Case, Effect
from qwell.lab.patient import Patient
from qwell.lab.run import _firsts_and_others, run_lab
from qwell.lab.wrong_fixes import TOGETHER


def nothing(_patient: Patient) -> Iterator[Effect]:
    yield Effect("", str)


def test_the_first_variant_of_each_fault_comes_first() -> None:
    cases = [Case(*name, nothing) for name in (("a", "1"), ("a", "2"), ("b", "1"), ("a", "3"))]
    firsts, others = _firsts_and_others(cases)
    assert [case.name for case in firsts] == ["a/1", "b/1"]
    assert [case.name for case in others] == ["a/2", "a/3"]


def test_what_is_not_reached_in_time_counts_as_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "HOME", tmp_path)
    lines: list[str] = []
    outcome = run_lab([Case("disk-full", "any", nothing)], minutes=-1, watch=lines.append)
    assert outcome.results[0].skipped
    assert outcome.to_dict()["summary"]["skipped"] == 1
    assert lines[0].startswith("----")


def test_the_empty_fix_is_tried_first_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = find_fault("disk-full")
    monkeypatch.setitem(ACTIONS, wrong_fixes.EMPTY, lambda _system, _hands, _facts: NOTHING)
    names = [remedy.action for remedy in wrong_fixes.wrong_remedies(fault)]
    assert names[0] == wrong_fixes.EMPTY
    assert len(set(names)) == len(names)
    assert not set(names) & {remedy.action for remedy in fault.remedies}


def test_wrong_fixes_are_tried_together_when_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wrong_fixes, "ACTIONS", {})
    remedies = [Remedy(f"wrong-{n}", "auto", Bilingual("", ""), action="") for n in range(3)]
    tried: list[str] = []

    def try_one(remedy: Remedy) -> str:
        tried.append(remedy.id)
        return "undone"

    found = wrong_fixes._in_time(remedies, try_one, budget_s=0.0)
    assert tried == [TOGETHER]
    assert found == {remedy.id: "undone" for remedy in remedies}
