"""Transactions, and what the database says when it refuses."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import URL, event, text

from qwell.config import Settings
from qwell.errors import QwellError
from qwell.store.database import Database, database_url
from qwell.store.migrate import migrate
from qwell.store.records import Turn
from qwell.store.store import Store

pytestmark = pytest.mark.anyio

TURN = Turn("c", None, "q", "hello", "a", "r")


async def test_a_transaction_is_all_or_nothing(store: Store) -> None:
    await store.conversations.create("c", "before", {})

    async def fail() -> None:
        async with store.database.writing() as connection:
            await connection.execute(text("UPDATE conversations SET title = 'after'"))
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert (await store.conversations.get("c")).title == "before"


async def test_readers_do_not_wait_for_a_writer(store: Store) -> None:
    await store.journal.begin(TURN)
    async with store.database.writing() as connection:
        await connection.execute(text("UPDATE conversations SET title = 'new'"))
        async with asyncio.timeout(5):
            assert (await store.conversations.get("c")).title == "hello"


async def test_sqlite_writes_ahead(sqlite_url: URL) -> None:
    migrate(sqlite_url)
    database = Database(sqlite_url)
    async with database.reading() as connection:
        mode = await connection.execute(text("PRAGMA journal_mode"))
        assert mode.scalar_one() == "wal"
    await database.close()


async def refusal(url: URL, *, busy_s: float = 0.05) -> QwellError:
    """What a first question meets."""
    store = Store(url)
    await store.database.close()
    store.database.engine = (locked := Database(url, busy_s=busy_s)).engine
    try:
        with pytest.raises(QwellError) as failed:
            await store.journal.begin(TURN)
    finally:
        await locked.close()
    return failed.value


def damage(file: Path) -> None:
    """All but the first page."""
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))


def empty(file: Path) -> None:
    """An empty file is an empty database."""
    file.parent.mkdir()
    file.write_bytes(b"")


def block(file: Path) -> None:
    """A folder where the file should be."""
    file.mkdir(parents=True)


async def test_a_lock_of_another_program_is_named(sqlite_url: URL) -> None:
    migrate(sqlite_url)
    with closing(sqlite3.connect(str(sqlite_url.database))) as other:
        other.execute("BEGIN EXCLUSIVE")
        error = await refusal(sqlite_url)
    assert error.fault == "database-locked"
    assert str(sqlite_url.database) in error.found


async def test_a_full_disk_is_named(sqlite_url: URL) -> None:
    migrate(sqlite_url)
    store = Store(sqlite_url)

    @event.listens_for(store.database.engine.sync_engine, "connect")
    def limit(connection: sqlite3.Connection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA max_page_count = 1")  # becomes: as large as it is
        cursor.close()

    with pytest.raises(QwellError) as failed:
        await store.journal.begin(Turn("c", None, "q", "x" * 1_000_000, "a", "r"))
    await store.close()
    assert failed.value.fault == "disk-full"
    assert "df -h" in failed.value.fix


async def test_a_damaged_file_is_named(sqlite_url: URL) -> None:
    migrate(sqlite_url)
    damage(Path(str(sqlite_url.database)))
    assert (await refusal(sqlite_url)).fault == "database-corrupt"


async def test_a_file_that_disappeared_is_named(sqlite_url: URL) -> None:
    empty(Path(str(sqlite_url.database)))
    assert (await refusal(sqlite_url)).fault == "database-migration-failed"


async def test_a_file_that_cannot_be_opened_is_named(sqlite_url: URL) -> None:
    block(Path(str(sqlite_url.database)))
    assert (await refusal(sqlite_url)).fault == "permission-denied"


async def test_a_database_server_that_is_not_there_is_named_without_its_password() -> None:
    settings = Settings(database_url="postgresql://me:secret@127.0.0.1:9/nothing")
    error = await refusal(database_url(settings))
    assert error.fault == "database-unreachable"
    assert "127.0.0.1:9" in error.found
    assert "secret" not in str(error)


async def test_a_name_that_is_not_there_is_named(postgres: URL) -> None:
    assert (await refusal(postgres.set(database="nowhere"))).fault == "database-unreachable"


async def test_a_lock_in_postgresql_is_named(postgres_url: URL) -> None:
    migrate(postgres_url)
    holder = Database(postgres_url)
    async with holder.writing() as connection:
        await connection.execute(text("LOCK TABLE conversations"))
        error = await refusal(postgres_url)
    await holder.close()
    assert error.fault == "database-locked"


async def test_a_cut_connection_heals(postgres_url: URL) -> None:
    migrate(postgres_url)
    store = Store(postgres_url)
    await store.journal.begin(TURN)
    killer = Database(postgres_url)
    async with killer.writing() as connection:
        await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    await killer.close()
    assert (await store.conversations.get("c")).title == "hello"
    await store.close()


@pytest.mark.parametrize(
    ("setting", "shown"),
    [
        ("", "sqlite:////data/qwell.db"),
        ("sqlite:////elsewhere/my.db", "sqlite:////elsewhere/my.db"),
        ("postgresql://me:pw@host/name", "postgresql+psycopg://me:***@host/name"),
        ("postgres://host/name", "postgresql+psycopg://host/name"),
    ],
)
def test_where_conversations_are_kept(setting: str, shown: str) -> None:
    url = database_url(Settings(data_dir="/data", database_url=setting))
    assert url.render_as_string(hide_password=True) == shown


@pytest.mark.parametrize("setting", ["mysql://host/name", "sqlite://", "not an address"])
def test_other_databases_are_refused(setting: str) -> None:
    with pytest.raises(QwellError, match="database_url") as refused:
        database_url(Settings(database_url=setting))
    assert refused.value.fault == "config-invalid"
