"""What a run amounts to: shares of what is valid, and everything else counted beside it."""

from __future__ import annotations

from qwell.lab.result import Outcome, Pair, Result, quantile, share


def good(name: str, **changes: object) -> Result:
    result = Result(
        name, "v", injected=True, visible=True, detected=True, named=True, top=[name], fixed=True,
        verified=True, undone=True, layer="host", by="doctor", grounded=True, remedy="auto",
    )  # fmt: skip
    for key, value in changes.items():
        setattr(result, key, value)
    return result


def test_the_shape_of_the_json() -> None:
    found = Outcome([good("disk-full")], [Pair(("a", "b"))], healthy_runs=300).to_dict()
    names = {"id", "variant", "injected", "visible", "detected", "named", "top", "fixed",
             "verified", "undone", "seconds", "skipped"}  # fmt: skip
    assert names <= set(found["faults"][0])
    assert found["healthy_runs"] == 300
    assert found["false_alarms"] == 0


def test_shares_are_of_valid_scenarios() -> None:
    results = [
        good("a"),
        good("b", named=False, top=["c"]),
        good("d", invalid="unwell before"),
        Result("e", "v", skipped="not installed: nginx"),
    ]
    summary = Outcome(results).to_dict()["summary"]
    assert (summary["valid"], summary["skipped"], summary["invalid"]) == (2, 1, 1)
    assert summary["named_first"] == 0.5
    assert summary["faults_caused"] == 2


def test_a_wrong_fix_that_passed_is_counted() -> None:
    results = [good("a", wrong_fixes=12, false_passes=["wrong-restart-worker"])]
    summary = Outcome(results).to_dict()["summary"]
    assert (summary["wrong_fixes"], summary["wrong_fixes_that_passed"]) == (12, 1)


def test_nothing_has_no_share() -> None:
    assert share([]) is None
    assert quantile([], 0.5) is None
    assert quantile([1.0, 2.0, 3.0], 0.95) == 3.0
