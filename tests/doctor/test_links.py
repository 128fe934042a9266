"""What connects the catalogue with live checks and with actions."""

from __future__ import annotations

import pytest

from qwell.doctor import consult
from qwell.doctor.actions import ACTIONS
from qwell.doctor.catalogue import load
from qwell.doctor.checks import CHECKS
from qwell.doctor.fault import Fault
from qwell.doctor.finding import Finding, Status
from qwell.doctor.own_faults import own_faults

FAULTS = [*load().faults.values(), *own_faults().values()]
# facts that explain other findings and accuse nobody
FACTS_ONLY = {
    "host.local", "host.huge_pages", "host.load", "container.runtime", "model.present",
    "network.hub_wanted", "engine.loaded", "api.storing", "engine.accepts_model",
}  # fmt: skip


def finding(check: str, status: Status = Status.FAIL) -> Finding:
    return Finding(check, CHECKS[check].layer, status, (), "seen")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_a_cure_of_every_fault_can_be_verified(fault: Fault) -> None:
    assert fault.verify
    assert all(check in CHECKS for check in fault.verify)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_remedies_name_actions_that_exist(fault: Fault) -> None:
    for remedy in fault.remedies:
        assert (remedy.action in ACTIONS) is (remedy.safety != "manual"), remedy.id


@pytest.mark.parametrize("check", sorted({c.id for c in CHECKS} - FACTS_ONLY))
def test_every_check_that_fails_means_something(check: str) -> None:
    report = consult.report([finding(check)])
    assert report.status in ("broken", "degraded")
    assert report.diagnoses, f"{check} fails, and no fault is named"


@pytest.mark.parametrize("fault", ["weights-corrupt", "weights-truncated"])
def test_a_damaged_pack_is_made_anew_before_anything_is_fetched(fault: str) -> None:
    assert load().faults[fault].remedies[0].action == "rebuild-pack"


@pytest.mark.parametrize(
    ("checks", "faults"),
    [
        (["host.disk_space", "engine.threads"], {"disk-full", "thread-oversubscription"}),
        (["model.pack_digest"], {"weights-corrupt"}),
        (["engine.dtype"], {"wrong-dtype-on-cpu"}),
        (["dialogue.not_degenerate"], {"answers-changed"}),
        (["api.settings"], {"config-invalid"}),
        (["engine.queue"], {"request-queueing"}),
        (["engine.speed"], {"slower-than-usual"}),
        (["engine.responsive"], {"worker-unresponsive"}),
        (["engine.speed", "container.cpu_throttling"], {"cgroup-cpu-throttled"}),
    ],
)
def test_what_is_seen_together_is_named_together(checks: list[str], faults: set[str]) -> None:
    others = [c.id for c in CHECKS if c.id not in checks and not c.deep]
    findings = [*map(finding, checks), *(finding(c, Status.PASS) for c in others)]
    assert {diagnosis["id"] for diagnosis in consult.report(findings).diagnoses} == faults


@pytest.mark.parametrize(
    ("check", "fault"),
    [("engine.responsive", "worker-unresponsive"), ("host.disk_space", "disk-full")],
)
def test_an_incident_has_the_name_of_its_fault(check: str, fault: str) -> None:
    assert consult.likeliest(finding(check)) == fault


def test_a_check_that_accuses_nobody_names_none() -> None:
    assert consult.likeliest(finding("host.load", Status.PASS)) == ""
