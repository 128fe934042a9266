"""One database, SQLite or PostgreSQL: connections, transactions, errors that say what to do.

Knows no tables.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from sqlalchemy import URL, Connection, Engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from qwell.config import Settings
from qwell.errors import QwellError
from qwell.store.failure import explained

FILE = "qwell.db"
BUSY_S = 2.0  # for a lock of another program; an answer must not wait longer for being stored
CONNECT_S = 5
STATEMENT_S = 5
WRITES = {"qwell_writes": True}  # of a connection, before it begins a transaction


def database_url(settings: Settings) -> URL:
    """Where conversations are kept. Raises QwellError ``config-invalid`` for other databases."""
    if not settings.database_url:
        return URL.create("sqlite", database=str(settings.data_path / FILE))
    try:
        url = make_url(settings.database_url)
    except ArgumentError:
        raise _no_database("an address that cannot be read") from None
    match url.get_backend_name():
        case "sqlite" if url.database and url.database != ":memory:":
            return url.set(drivername="sqlite")
        case "postgresql" | "postgres":
            return url.set(drivername="postgresql+psycopg")
        case other:
            raise _no_database(f"{other}:")


def connect_arguments(url: URL, busy_s: float = BUSY_S) -> dict[str, Any]:
    """What the driver is told, the synchronous and the asynchronous one alike."""
    if url.get_backend_name() == "sqlite":
        return {"timeout": busy_s, "isolation_level": None}
    wait = f"-c statement_timeout={STATEMENT_S * 1000} -c lock_timeout={round(busy_s * 1000)}"
    return {"connect_timeout": CONNECT_S, "options": wait}


def prepare(engine: Engine) -> None:
    """Give SQLite what PostgreSQL has by itself: readers beside a writer, checked references."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_pragmas)
        event.listen(engine, "begin", _begin)


class Database:
    def __init__(self, url: URL, *, busy_s: float = BUSY_S) -> None:
        self.url = url
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.engine = create_async_engine(
            url.set(drivername="sqlite+aiosqlite") if self.is_sqlite else url,
            connect_args=connect_arguments(url, busy_s),
            pool_size=4,
            max_overflow=4,
            pool_timeout=CONNECT_S,
            pool_pre_ping=not self.is_sqlite,  # a server may have been restarted
        )
        prepare(self.engine.sync_engine)
        # SQLite has one writer: ours queue here, where waiting is fair and costs nothing
        self._turn = asyncio.Lock() if self.is_sqlite else nullcontext()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A consistent view. Raises QwellError when the database refuses."""
        with self._explaining():
            async with self.engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: all of it or nothing. Raises QwellError when the database refuses."""
        with self._explaining():
            async with self._turn, self.engine.connect() as connection:
                await connection.execution_options(**WRITES)
                async with connection.begin():
                    yield connection

    async def ping(self) -> None:
        """Ask for nothing. Raises QwellError when nobody answers."""
        async with self.reading() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        await self.engine.dispose()

    def _explaining(self) -> _Explaining:
        return _Explaining(self.url)


class _Explaining:
    """Turns what the database says into QwellError; bugs of ours pass as they are."""

    def __init__(self, url: URL) -> None:
        self._url = url

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, SQLAlchemyError) and (told := explained(error, self._url)):
            raise told from error


def _set_pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # NORMAL: a power cut may cost the last moments, never the database
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    """Writers take the lock at once: waiting for it works only before the first read."""
    writes = connection.get_execution_options().get("qwell_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _no_database(found: str) -> QwellError:
    return QwellError(
        "config-invalid",
        found=f"database_url names {found}",
        expected="sqlite:///path/to/file or postgresql://user:password@host/name",
        fix="correct database_url, or leave it out for a file in --data-dir",
    )
