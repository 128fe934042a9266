"""Alarms: raised and ended by repetition; incidents are kept, and closed by their check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qwell.doctor.checks import CHECKS
from qwell.doctor.finding import Finding, Status
from qwell.doctor.incident import KEPT, Incidents
from qwell.doctor.monitor import WATCHED, Hysteresis, Watched, incident_of


def finding(status: str, check: str = "host.memory") -> Finding:
    return Finding(check, "host", Status(status), (), "low")


@pytest.mark.parametrize(
    ("row", "turns"),
    [
        ("pfp", [None, None, None]),  # once is bad luck
        ("pff", [None, None, "raise"]),
        ("ffff", [None, "raise", "still", "still"]),
        ("ffpp", [None, "raise", None, "clear"]),
        ("ffpfp", [None, "raise", None, "still", None]),  # it flutters: still the same alarm
        ("fssf", [None, None, None, "raise"]),  # a skip tells nothing
    ],
)
def test_hysteresis(row: str, turns: list[str | None]) -> None:
    state = Hysteresis(Watched("host.memory"))
    words = {"p": "pass", "f": "fail", "s": "skip"}
    assert [state.note(finding(words[letter])) for letter in row] == turns


def test_what_was_open_before_a_restart_goes_on() -> None:
    state = Hysteresis(Watched("host.memory"), is_raised=True)
    assert state.note(finding("fail")) == "still"


def test_a_death_is_an_alarm_at_once() -> None:
    assert Hysteresis(Watched("engine.worker", raise_after=1)).note(finding("fail")) == "raise"


def test_everything_watched_is_a_check_that_is_quick() -> None:
    assert all(w.check in CHECKS and not CHECKS[w.check].deep for w in WATCHED)


def test_an_incident_that_checks_share_bears_the_name_of_one_that_has_its_own() -> None:
    names = {incident_of(watched.check) for watched in WATCHED}
    assert incident_of("engine.stable") == "engine.worker"
    assert all(incident_of(name) == name for name in names)


# ---- incidents


def test_one_open_incident_for_each_check(tmp_path: Path) -> None:
    clock = iter(float(n) for n in range(100))
    book = Incidents(tmp_path, lambda: next(clock))
    first = book.upsert(finding("fail"), "insufficient-ram")
    again = book.upsert(finding("fail"), "")
    assert (again.id, again.count, again.fault) == (first.id, 2, "insufficient-ram")
    book.note("host.memory", "restart-worker: undone")
    closed = book.close("host.memory")
    assert closed is not None
    assert [what for _, what in closed.events] == ["opened", "restart-worker: undone", "closed"]
    assert book.close("host.memory") is None
    assert book.upsert(finding("fail"), "").id != first.id


def test_incidents_survive_a_restart(tmp_path: Path) -> None:
    Incidents(tmp_path).upsert(finding("fail"), "disk-full")
    (known,) = Incidents(tmp_path).newest_first()
    assert known.is_open
    assert known.fault == "disk-full"
    assert known.to_dict()["check"] == "host.memory"


def test_a_damaged_file_of_incidents_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "incidents.json").write_text("{", encoding="utf-8")
    assert Incidents(tmp_path).newest_first() == []


def test_incidents_without_a_place_live_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    book = Incidents(tmp_path / "file" / "below")
    book.upsert(finding("fail"), "")
    assert not book.is_saved
    assert len(book.newest_first()) == 1


def test_old_incidents_go(tmp_path: Path) -> None:
    book: Any = Incidents(tmp_path)
    for n in range(KEPT + 5):
        book.upsert(finding("fail", f"host.{n}"), "")
    assert len(book.newest_first()) == KEPT
