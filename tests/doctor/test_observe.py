"""Running checks: order, patience, crashes, and a healthy machine."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from qwell.doctor.checks import CHECKS
from qwell.doctor.finding import LAYERS, Outcome, Registry, Status, failed, passed, skipped
from qwell.doctor.observe import observe, select

ANY: Any = None


def outcomes(registry: Registry, **options: Any) -> dict[str, str]:
    return {f.check: f.status.value for f in observe(ANY, select(registry), **options)}


def test_what_is_needed_runs_first() -> None:
    registry, order = Registry(), []

    @registry.check("api.late", layer="api", needs=("host.early",))
    def late(_system: object) -> Outcome:
        order.append("late")
        return passed()

    @registry.check("host.early", layer="host")
    def early(_system: object) -> Outcome:
        order.append("early")
        return passed()

    assert outcomes(registry) == {"host.early": "pass", "api.late": "pass"}
    assert order == ["early", "late"]


@pytest.mark.parametrize("first", [failed("broken"), skipped("not here")])
def test_without_what_it_needs_a_check_is_skipped_with_the_first_reason(first: Outcome) -> None:
    registry = Registry()
    registry.check("host.a", layer="host")(lambda _: first)
    registry.check("host.b", layer="host", needs=("host.a",))(lambda _: passed())
    registry.check("host.c", layer="host", needs=("host.b",))(lambda _: passed())
    findings = {f.check: f for f in observe(ANY, select(registry))}
    assert findings["host.b"].status is Status.SKIP
    assert findings["host.c"].because == findings["host.b"].because
    assert first.because in findings["host.c"].because


def test_a_crash_is_a_result() -> None:
    registry = Registry()

    @registry.check("host.broken", layer="host")
    def broken(_system: object) -> Outcome:
        raise ZeroDivisionError("oops")

    (finding,) = observe(ANY, select(registry))
    assert finding.status is Status.ERROR
    assert "ZeroDivisionError: oops" in finding.because


def test_a_check_that_hangs_is_left_behind() -> None:
    registry, release = Registry(), threading.Event()
    registry.check("host.hangs", layer="host", timeout_s=0.05)(
        lambda _: passed(released=release.wait(30))
    )
    registry.check("host.other", layer="host")(lambda _: passed())
    assert outcomes(registry) == {"host.hangs": "error", "host.other": "pass"}
    release.set()


def test_the_cap_holds_for_everything_together() -> None:
    registry, release = Registry(), threading.Event()
    registry.check("host.hangs", layer="host", timeout_s=60)(
        lambda _: passed(released=release.wait(60))
    )
    registry.check("host.next", layer="host", needs=("host.hangs",))(lambda _: passed())
    started = time.monotonic()
    assert outcomes(registry, cap_s=0.1) == {"host.hangs": "error", "host.next": "skip"}
    assert time.monotonic() - started < 10
    release.set()


def test_deep_checks_run_when_asked_for_or_named() -> None:
    registry = Registry()
    registry.check("host.deep", layer="host", deep=True)(lambda _: passed())
    registry.check("host.quick", layer="host")(lambda _: passed())
    names = [[c.id for c in select(registry, **o)] for o in ({}, {"deep": True})]
    assert names == [["host.quick"], ["host.deep", "host.quick"]]
    assert [c.id for c in select(registry, names=["host.deep"])] == ["host.deep"]


def test_a_layer_brings_what_it_needs() -> None:
    chosen = {check.layer for check in select(CHECKS, layers=["dialogue"])}
    assert {"dialogue", "api"} <= chosen


def test_findings_are_seen_as_they_come() -> None:
    seen: list[str] = []
    registry = Registry()
    registry.check("host.a", layer="host")(lambda _: passed())
    observe(ANY, select(registry), watch=lambda finding: seen.append(finding.check))
    assert seen == ["host.a"]


# ---- the declared checks


def test_there_are_enough_checks_over_all_layers() -> None:
    assert len(CHECKS) >= 60
    assert {check.layer for check in CHECKS} == set(LAYERS)


def test_needs_exist_and_make_no_circle() -> None:
    for check in CHECKS:
        seen: set[str] = set()
        todo = list(check.needs)
        while todo:
            name = todo.pop()
            assert name in CHECKS, f"{check.id} needs {name}"
            assert name != check.id, f"{check.id} needs itself"
            if name not in seen:
                seen.add(name)
                todo += CHECKS[name].needs


def test_every_check_says_what_holds_when_all_is_well() -> None:
    assert not [check.id for check in CHECKS if len(check.about) < 15]
    assert not [check.id for check in CHECKS if check.id.partition(".")[0] != check.layer]
