"""The server as it answers, and the database beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qwell.doctor.run_record import RunRecord, write_record

Status = Callable[[str, Any], str]


def test_a_healthy_server_raises_nothing(served: Any, status: Status) -> None:
    for name in (
        "settings", "port", "server", "login", "base", "no_html", "identity", "key", "not_limited",
        "ready", "models", "first_byte", "terminal_event", "storing", "loop_lag",
    ):  # fmt: skip
        assert status(f"api.{name}", served) == "pass", name


def test_no_server_is_no_fault_unless_one_is_meant(make_machine: Any, status: Status) -> None:
    assert status("api.server", make_machine()) == "skip"
    assert status("api.server", make_machine(url="http://127.0.0.1:8000")) == "fail"


def test_a_server_that_died_left_its_note(machine: Any, status: Status) -> None:
    write_record(machine.settings.data_path, RunRecord(99, "http://127.0.0.1:8000", 1.0))
    assert status("api.server", machine) == "fail"
    machine.write("/proc/99/stat", "99 (python) S 1 1 0")
    assert status("api.server", machine) == "skip"


def test_a_setting_that_cannot_be_used(make_machine: Any, status: Status) -> None:
    machine = make_machine()
    machine.settings_error = "port = 'x'"
    assert status("api.settings", machine) == "fail"


def test_another_program_on_the_port(machine: Any, status: Status) -> None:
    holder = SimpleNamespace(address="0.0.0.0", pid=7, command="nginx: master", inode="1")  # noqa: S104  made up
    machine.listeners = lambda _port: [holder]
    assert status("api.port", machine) == "fail"


def test_a_hidden_holder_that_answers_as_ours(served: Any, status: Status) -> None:
    served.listeners = lambda _port: [SimpleNamespace(address="::", pid=0, command="", inode="1")]
    assert status("api.port", served) == "pass"


def test_a_deaf_server_is_not_an_absent_one(make_machine: Any, status: Status) -> None:
    machine = make_machine(url="http://127.0.0.1:8000")
    machine.connections["127.0.0.1", 8000] = ""
    assert status("api.awake", machine) == "fail"
    assert status("api.server", machine) == "skip"
    machine.serve("/health", {"status": "ok"})
    assert status("api.awake", machine) == "pass"


@pytest.mark.parametrize("path", ["/v1", "/api", "/v1/chat/completions"])
def test_an_address_that_names_a_route(make_machine: Any, status: Status, path: str) -> None:
    assert status("api.base", make_machine(url=f"http://127.0.0.1:8000{path}")) == "fail"


def test_a_page_instead_of_json(served: Any, status: Status) -> None:
    served.serve("/version", b"<!doctype html><html></html>")
    assert status("api.no_html", served) == "fail"


def test_another_program_that_answers(served: Any, status: Status) -> None:
    served.serve("/version", {"name": "ollama"})
    assert status("api.identity", served) == "fail"


def test_too_many_requests(served: Any, status: Status) -> None:
    served.serve("/api/doctor/facts", {}, 429)
    assert status("api.not_limited", served) == "fail"


@pytest.mark.parametrize("code", [502, 504])
def test_a_proxy_with_nothing_behind_it_is_no_server(
    served: Any, status: Status, code: int
) -> None:
    served.serve("/health", b"<html>Bad Gateway</html>", code)
    assert status("api.server", served) == "fail"


def test_a_login_of_something_in_front_is_no_web_page(served: Any, status: Status) -> None:
    served.serve("/version", b"<html>401 Authorization Required</html>", 401)
    assert status("api.login", served) == "fail"


def test_the_servers_own_refusal_is_no_login(served: Any, status: Status) -> None:
    served.serve("/version", {"type": "/faults/host-not-allowed"}, 403)
    assert status("api.login", served) == "pass"


def test_an_address_that_leads_elsewhere_says_where(served: Any, outcome: Any) -> None:
    served.serve("/version", b"", 301, location="https://example.org/version")
    told = outcome("api.identity", served)
    assert told.status == "fail"
    assert "https://example.org/version" in [fact.value for fact in told.evidence]


@pytest.mark.parametrize(("key", "expected"), [("wrong", "fail"), ("", "skip")])
def test_a_key_that_is_refused_and_one_that_is_not_set(
    make_machine: Any, status: Status, key: str, expected: str
) -> None:
    """A server that wants a key is well; only who has the wrong one has a fault."""
    machine = make_machine(api_key=key)
    machine.serve("/api/doctor/facts", {}, 401)
    assert status("api.key", machine) == expected


@pytest.mark.parametrize(
    ("fault", "expected"), [("model-still-loading", "warn"), ("weights-truncated", "fail")]
)
def test_not_ready_says_why(served: Any, outcome: Any, fault: str, expected: str) -> None:
    served.serve("/ready", {"type": f"/faults/{fault}", "detail": "x"}, 503)
    found = outcome("api.ready", served)
    assert found.status.value == expected
    assert {e.key: e.value for e in found.evidence}["fault"] == fault


@pytest.mark.parametrize(
    "events",
    [
        [{"type": "queued"}],
        [{"type": "done"}, {"type": "done"}],
        [{"type": "queued"}, {"type": "error", "code": "inference-failed", "cause": "x"}],
    ],
)
def test_an_answer_without_a_proper_end(
    served: Any, status: Status, events: list[dict[str, Any]]
) -> None:
    served.say(*events)
    assert status("api.terminal_event", served) == "fail"


def test_a_late_first_byte(served: Any, status: Status) -> None:
    served.say()
    assert status("api.first_byte", served) == "fail"


def test_a_crash_on_bad_input(served: Any, status: Status) -> None:
    served.serve("/api/chat", {}, 500)
    assert status("api.validates", served) == "fail"
    served.serve("/api/chat", {}, 400)
    assert status("api.validates", served) == "pass"


def test_no_model_is_listed(served: Any, status: Status) -> None:
    served.serve("/v1/models", {"data": []})
    assert status("api.models", served) == "fail"


def test_a_late_event_loop(with_facts: Any, status: Status) -> None:
    assert status("api.loop_lag", with_facts(loop_lag_ms=900.0)) == "fail"


def test_conversations_that_are_not_saved(with_facts: Any, status: Status) -> None:
    error = {"fault": "disk-full", "found": "0 MB free"}
    assert status("api.storing", with_facts(store={"error": error})) == "fail"


# ---- the database


@pytest.fixture
def database(machine: Any) -> Path:
    path = machine.settings.data_path / "qwell.db"
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('0001')")
    connection.close()
    return Path(path)


@pytest.mark.usefixtures("database")
def test_a_sound_database(machine: Any, status: Status) -> None:
    for name in ("database", "database_free", "database_schema"):
        assert status(f"api.{name}", machine) == "pass", name


def test_a_damaged_database(machine: Any, status: Status, database: Path) -> None:
    database.write_bytes(b"this is no database" * 100)
    assert status("api.database", machine) == "fail"


def test_a_database_of_another_version(machine: Any, status: Status, database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    assert status("api.database_schema", machine) == "fail"


def test_a_database_at_its_first_start_has_no_tables_yet(
    machine: Any, status: Status, database: Path
) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("DROP TABLE alembic_version")
    connection.close()
    assert status("api.database_schema", machine) == "skip"


def test_tables_without_a_version_are_not_ours(
    machine: Any, status: Status, database: Path
) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("ALTER TABLE alembic_version RENAME TO notes")
    connection.close()
    assert status("api.database_schema", machine) == "fail"


def test_a_database_that_somebody_holds(machine: Any, status: Status, database: Path) -> None:
    holder = sqlite3.connect(database, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        assert status("api.database_free", machine) == "fail"
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    assert status("api.database_free", machine) == "pass"
