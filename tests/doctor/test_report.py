"""The one word for a run, and what could not be looked at."""

from __future__ import annotations

import pytest

from qwell.doctor.consult import report
from qwell.doctor.finding import Evidence, Finding, Status
from qwell.doctor.report import KEY_WANTED, NO_SERVER, Report, word_for

WELL = Finding("host.memory", "host", Status.PASS)
LOCKED = Finding("api.key", "api", Status.SKIP, because=KEY_WANTED)
ABSENT = Finding("api.server", "api", Status.SKIP, because=f"{NO_SERVER}http://127.0.0.1:8000")


def test_a_server_that_nobody_may_examine_is_not_called_healthy() -> None:
    assert word_for([WELL]) == "healthy"
    assert word_for([WELL, LOCKED]) == "unknown"
    assert Report("unknown", (WELL, LOCKED)).is_locked_out
    assert not Report("healthy", (WELL,)).is_locked_out


def test_something_wrong_is_wrong_without_a_key_too() -> None:
    assert word_for([Finding("host.disk", "host", Status.FAIL), LOCKED]) == "broken"


def test_no_server_at_all() -> None:
    assert Report("healthy", (WELL, ABSENT)).has_no_server
    assert not Report("healthy", (WELL, LOCKED)).has_no_server


@pytest.mark.parametrize(
    ("url", "called"),
    [
        ("http://box.example:8017", "http://box.example:8017/v1/models"),
        ("http://127.0.0.1:8017", "http://127.0.0.1:8017/v1/models"),
    ],
)
def test_commands_ask_the_server_that_was_examined(url: str, called: str) -> None:
    found = [
        Finding("host.local", "host", Status.SKIP, (Evidence("url", url),)),
        Finding("api.key", "api", Status.FAIL, (Evidence("status", 401),), "the key is refused"),
    ]
    (diagnosis,) = report(found).diagnoses
    commands = [command for remedy in diagnosis["remedies"] for command in remedy["commands"]]
    assert called in " ".join(commands)
