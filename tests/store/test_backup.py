"""Backups made while somebody writes, and the way back from them."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import URL

from qwell.errors import QwellError
from qwell.store.backup import backup, restore
from qwell.store.migrate import migrate

N = 200


@pytest.fixture
def url(tmp_path: Path) -> URL:
    """A database of ours with one table more, to write into without knowing the others."""
    url = URL.create("sqlite", database=str(tmp_path / "data" / "qwell.db"))
    migrate(url)
    with closing(connected(url)) as connection:
        connection.execute("CREATE TABLE notes (n INTEGER)")
    return url


def connected(url: URL) -> sqlite3.Connection:
    return sqlite3.connect(str(url.database), isolation_level=None, timeout=30)


def write(url: URL, *numbers: int) -> None:
    with closing(connected(url)) as connection:
        connection.executemany("INSERT INTO notes VALUES (?)", [(n,) for n in numbers])


def notes(file: str | Path | None) -> list[int]:
    with closing(sqlite3.connect(str(file))) as connection:
        return [n for (n,) in connection.execute("SELECT n FROM notes ORDER BY n")]


@pytest.fixture
def writer(url: URL) -> Iterator[threading.Event]:
    """Writes pairs in one transaction each until it is stopped; set after the first ones."""
    begun, stop = threading.Event(), threading.Event()

    def run() -> None:
        with closing(connected(url)) as connection:
            for n in range(0, 100_000, 2):
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("INSERT INTO notes VALUES (?), (?)", (n, n + 1))
                connection.execute("COMMIT")
                if n > N:
                    begun.set()
                if stop.is_set():
                    return

    thread = threading.Thread(target=run)
    thread.start()
    yield begun
    stop.set()
    thread.join()


def test_a_backup_made_while_somebody_writes_has_whole_transactions(
    url: URL, tmp_path: Path, writer: threading.Event
) -> None:
    assert writer.wait(30)
    made = backup(url, tmp_path)
    copied = notes(made)
    assert made.name.startswith("qwell-")
    assert len(copied) > N
    assert copied == list(range(len(copied)))
    assert len(copied) % 2 == 0
    assert made.stat().st_mode & 0o077 == 0


def test_what_is_restored_is_what_was_there_and_what_is_replaced_is_kept(
    url: URL, tmp_path: Path
) -> None:
    write(url, 1, 2, 3)
    made = backup(url, tmp_path / "copy.db")
    write(url, 4)
    aside = restore(url, made)
    assert notes(url.database) == [1, 2, 3]
    assert aside is not None
    assert notes(aside) == [1, 2, 3, 4]


def test_a_lost_folder_comes_back(url: URL, tmp_path: Path) -> None:
    write(url, 1)
    made = backup(url, tmp_path / "copy.db")
    lost = url.set(database=str(tmp_path / "new" / "folder" / "qwell.db"))
    assert restore(lost, made) is None
    migrate(lost)
    assert notes(lost.database) == [1]


def test_a_damaged_database_is_replaced(url: URL, tmp_path: Path) -> None:
    made = backup(url, tmp_path / "copy.db")
    file = Path(str(url.database))
    file.write_bytes(b"no database at all" * 1000)
    restore(url, made)
    assert notes(file) == []


def test_nothing_is_replaced_while_somebody_has_it_open(url: URL, tmp_path: Path) -> None:
    made = backup(url, tmp_path / "copy.db")
    with closing(connected(url)) as server:
        server.execute("INSERT INTO notes VALUES (7)")
        with pytest.raises(QwellError) as refused:
            restore(url, made)
        assert refused.value.fault == "database-locked"
        server.execute("INSERT INTO notes VALUES (8)")
    assert notes(url.database) == [7, 8]


@pytest.mark.parametrize(
    ("content", "fault"),
    [(None, "config-invalid"), (b"text", "database-corrupt"), (b"", "config-invalid")],
)
def test_what_is_no_backup_changes_nothing(
    url: URL, tmp_path: Path, content: bytes | None, fault: str
) -> None:
    write(url, 1)
    wrong = tmp_path / "wrong.db"
    if content is not None:
        wrong.write_bytes(content)
    with pytest.raises(QwellError) as refused:
        restore(url, wrong)
    assert refused.value.fault == fault
    assert notes(url.database) == [1]


def test_a_backup_of_a_newer_version_is_refused(url: URL, tmp_path: Path) -> None:
    made = backup(url, tmp_path / "copy.db")
    with closing(sqlite3.connect(made)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(QwellError, match="does not know") as refused:
        restore(url, made)
    assert refused.value.fault == "database-migration-failed"


def test_no_backup_overwrites_another(url: URL, tmp_path: Path) -> None:
    made = backup(url, tmp_path / "copy.db")
    with pytest.raises(QwellError, match="exists"):
        backup(url, made)


def test_a_full_disk_is_not_the_fault_of_what_is_copied(
    url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = backup(url, tmp_path / "whole.db")

    def copy(_source: Path, _target: Path) -> None:
        with closing(sqlite3.connect(":memory:")) as small:
            small.execute("PRAGMA max_page_count = 1")
            small.execute("CREATE TABLE one_page_more (n INTEGER)")

    monkeypatch.setattr("qwell.store.sqlite_file.copy", copy)
    with pytest.raises(QwellError, match="disk-full"):
        backup(url, tmp_path / "other.db")
    with pytest.raises(QwellError, match="disk-full"):
        restore(url, whole)


def test_postgresql_has_its_own_tools(tmp_path: Path) -> None:
    url = URL.create("postgresql+psycopg", host="db", database="qwell", password="secret")
    for action in (backup, restore):
        with pytest.raises(QwellError, match="pg_") as refused:
            action(url, tmp_path)
        assert "secret" not in str(refused.value)
