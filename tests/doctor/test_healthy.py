"""A machine that is well raises no alarm: 300 runs on the machine that runs the tests."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from qwell.config import Settings
from qwell.doctor.checks import CHECKS
from qwell.doctor.finding import Status
from qwell.doctor.observe import observe, select
from qwell.doctor.preflight import preflight
from qwell.doctor.system import System

N_RUNS = 300
# what waits for a child or for time to pass, and so cannot be run 300 times in a test
SLOW = ("host.swap", "host.cpu_steal", "host.cpu_thermal", "container.cpu_throttling")
SLOW_LAYERS = ("dependency",)


def system(tmp_path: Path, port: int) -> System:
    """This very machine, with folders of the test's own and a port that nobody uses."""
    settings = Settings(data_dir=str(tmp_path / "data"), cache_dir=str(tmp_path / "cache"))
    return System(dataclasses.replace(settings, port=port))


def test_300_healthy_runs_without_an_alarm(tmp_path: Path, free_port: int) -> None:
    quick = [c.id for c in CHECKS if c.id not in SLOW and c.layer not in SLOW_LAYERS and not c.deep]
    quick = [name for name in quick if not name.startswith(("network.hub", "container.published"))]
    alarms: list[str] = []
    n_passed = 0
    for _ in range(N_RUNS):
        findings = observe(system(tmp_path, free_port), select(CHECKS, names=quick))
        bad = (Status.WARN, Status.FAIL, Status.ERROR)
        alarms += [f"{f.check}: {f.because} {f.facts()}" for f in findings if f.status in bad]
        n_passed += sum(finding.status is Status.PASS for finding in findings)
    assert alarms == []
    assert n_passed >= 30 * N_RUNS


def test_the_slow_checks_raise_none_either(tmp_path: Path, free_port: int) -> None:
    names = [c.id for c in CHECKS if c.id in SLOW or c.layer in SLOW_LAYERS]
    findings = observe(system(tmp_path, free_port), select(CHECKS, names=names), cap_s=60)
    bad = [f for f in findings if f.status in (Status.WARN, Status.FAIL, Status.ERROR)]
    assert bad == []


def test_the_preflight_finds_nothing(tmp_path: Path, free_port: int) -> None:
    assert preflight(system(tmp_path, free_port)) == []
