"""Treatment counts only when the fault's own checks pass again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from qwell.config import Settings
from qwell.doctor import actions
from qwell.doctor.actions import ACTIONS, Impossible, NoServer
from qwell.doctor.fault import Bilingual, Fault, Remedy
from qwell.doctor.finding import Outcome, Registry, failed, passed, skipped
from qwell.doctor.journal import Journal
from qwell.doctor.system import System
from qwell.doctor.treat import Practice, Treatment
from qwell.doctor.way_back import NOTHING, WayBack

TEXT = Bilingual("字", "text")


@dataclass
class Patient:
    """What the checks see: `ill` is the fault, `hurt` what a bad remedy breaks."""

    ill: bool = True
    hurt: bool = False
    told: bool = True
    looks: int = 0
    undone: list[str] = field(default_factory=list)


@pytest.fixture
def patient() -> Patient:
    return Patient()


@pytest.fixture
def registry(patient: Patient) -> Registry:
    made = Registry()

    @made.check("engine.ill", layer="engine")
    def ill(_system: object) -> Outcome:
        patient.looks += 1
        if not patient.told:
            return skipped("cannot tell")
        return failed("ill", path="/x") if patient.ill else passed()

    made.check("host.guard", layer="host")(lambda _: failed("hurt") if patient.hurt else passed())
    return made


@pytest.fixture(autouse=True)
def offered(patient: Patient) -> Iterator[None]:
    """Actions that do what a test needs; gone afterwards."""

    class Back(WayBack):
        def take(self, hands: object) -> None:
            patient.undone.append("undo")

    undo = Back(made=("x",))

    def cure(_system: System, _hands: object, _facts: Mapping[str, Any]) -> Any:
        patient.ill = False
        return undo

    def placebo(_system: System, _hands: object, _facts: Mapping[str, Any]) -> Any:
        return undo

    def harm(_system: System, _hands: object, _facts: Mapping[str, Any]) -> Any:
        patient.ill, patient.hurt = False, True
        return undo

    def blind(_system: System, _hands: object, _facts: Mapping[str, Any]) -> Any:
        patient.told = False
        return undo

    def stuck(_system: System, _hands: object, _facts: Mapping[str, Any]) -> Any:
        raise Impossible("not here")

    made = {"cure": cure, "placebo": placebo, "harm": harm, "blind": blind, "stuck": stuck}
    ACTIONS.update(made)
    yield
    for name in made:
        del ACTIONS[name]


@pytest.fixture
def kept() -> list[WayBack]:
    """What takes changes back, as it was told."""
    return []


@pytest.fixture
def treat(registry: Registry, tmp_path: Path, kept: list[WayBack]) -> Callable[..., Treatment]:
    def run(action: str, safety: Any = "auto", consent: bool = False, **more: Any) -> Treatment:
        practice = Practice(
            look=lambda: System(Settings(data_dir=str(tmp_path))),
            hands=NoServer(),
            journal=Journal(tmp_path),
            registry=registry,
            guards=("host.guard",),
            settle_s=0.0,
            rounds=3,
            keep=kept.append,
        )
        remedy = Remedy("r", safety, TEXT, (), action)
        return practice.treat(fault_with(**more), remedy, consent=consent)

    return run


def fault_with(verify: tuple[str, ...] = ("engine.ill",)) -> Fault:
    texts = dict.fromkeys(("title", "summary", "see", "why", "how"), TEXT)
    empty = ("signals", "signatures", "rules", "phrases", "explains", "confused_with", "aliases")
    return Fault(
        id="f", layer="engine", effect="down", prior=0.0, remedies=(), verify=verify,
        references=(), **texts, **dict.fromkeys(empty, ()),
    )  # fmt: skip


def test_a_cure_is_verified(treat: Any, patient: Patient) -> None:
    done = treat("cure")
    assert done.result == "fixed"
    assert patient.undone == []
    assert patient.looks >= 3  # before, and twice after


@pytest.mark.parametrize(("action", "why"), [("placebo", "still there"), ("blind", "still there")])
def test_what_does_not_help_is_taken_back(
    treat: Any, patient: Patient, action: str, why: str
) -> None:
    done = treat(action)
    assert done.result == "undone"
    assert why in done.because
    assert patient.undone == ["undo"]


def test_what_breaks_something_else_is_taken_back(treat: Any, patient: Patient) -> None:
    done = treat("harm")
    assert done.result == "undone"
    assert "host.guard" in done.because


def test_an_impossible_action_changes_nothing(treat: Any) -> None:
    assert (treat("stuck").result, treat("stuck").because) == ("failed", "not here")


def test_nothing_wrong_is_nothing_to_fix(treat: Any, patient: Patient) -> None:
    patient.ill = False
    assert treat("placebo").result == "nothing-to-fix"


def test_consent_is_asked_for(treat: Any) -> None:
    assert treat("cure", "confirm").result == "needs-consent"
    assert treat("cure", "confirm", consent=True).result == "fixed"


def test_a_person_must_do_what_is_manual(treat: Any) -> None:
    assert treat("cure", "manual", consent=True).result == "manual"


@pytest.mark.parametrize("verify", [(), ("no.such_check",)])
def test_no_check_no_treatment(treat: Any, verify: tuple[str, ...]) -> None:
    assert treat("cure", verify=verify).result == "refused"


def test_the_way_back_is_kept_before_anybody_looks(treat: Any, kept: list[WayBack]) -> None:
    assert treat("cure").result == "fixed"
    assert [back.made for back in kept] == [("x",)]


def test_a_way_back_that_was_taken_is_forgotten(treat: Any, kept: list[WayBack]) -> None:
    assert treat("placebo").result == "undone"
    assert kept[1:] == [NOTHING]


def test_an_unknown_action_is_refused(treat: Any) -> None:
    assert treat("no-such-action").result == "refused"


def test_two_attempts_a_day(treat: Any) -> None:
    assert [treat("placebo").result for _ in range(3)] == ["undone", "undone", "refused"]


def test_everything_is_in_the_journal(treat: Any, tmp_path: Path) -> None:
    treat("placebo")
    events = [entry["event"] for entry in Journal(tmp_path).entries()]
    assert events == ["apply", "undone"]


def test_attempts_count_for_a_day(tmp_path: Path) -> None:
    now = 1e6
    journal = Journal(tmp_path, lambda: now)
    journal.note("apply", "f", "r")
    journal.note("apply", "f", "r")
    assert journal.attempts_left("f", "r") == 0
    assert journal.attempts_left("f", "another") == 2
    now += 90_000
    assert journal.attempts_left("f", "r") == 2


def test_a_torn_line_of_the_journal_is_passed_over(tmp_path: Path) -> None:
    Journal(tmp_path).note("apply", "f", "r")
    path = next(tmp_path.glob("*.jsonl"))
    path.write_text(path.read_text(encoding="utf-8") + '{"at": 1, "ev', encoding="utf-8")
    assert len(list(Journal(tmp_path).entries())) == 1


@pytest.mark.parametrize("wrong", ["restart-worker", "rotate-logs", "choose-free-port", "placebo"])
def test_a_wrong_remedy_never_passes(treat: Any, wrong: str, patient: Patient) -> None:
    """Real actions against a fault that they do not cure."""
    assert wrong in actions.ACTIONS
    assert treat(wrong).result in ("undone", "failed")
    assert patient.ill
