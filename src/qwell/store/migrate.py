"""Brings a database to the schema of this version, with a way back when that fails.

Synchronous, for a thread of its own: it runs once, before anything else uses the database.
Knows no tables and no data.
"""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock, Timeout
from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from qwell.errors import QwellError
from qwell.store import sqlite_file
from qwell.store.database import WRITES, connect_arguments, prepare
from qwell.store.failure import behind, explained, explained_file, place

SCRIPTS = Path(__file__).parent / "migrations"
KEPT_BACKUPS = 3
LOCK_S = 30.0  # another server may be migrating the same file
_POSTGRES_LOCK = 0x7177656C6C  # an arbitrary number that is ours: "qwell"

log = logging.getLogger("qwell.store")


def migrate(url: URL, scripts: Path = SCRIPTS) -> None:
    """Upgrade to the newest revision; no effect when it is there already.

    An SQLite file is copied before; if a step fails, the copy takes its place again. On
    PostgreSQL all steps are one transaction. Raises QwellError: ``database-migration-failed``,
    ``database-corrupt``, ``database-locked``, ``database-unreachable``, ``disk-full``,
    ``permission-denied``, ``read-only-filesystem``.
    """
    if url.get_backend_name() == "sqlite":
        _migrate_file(url, scripts)
    else:
        _upgrade(url, scripts)


def alembic_config(connection: Connection, scripts: Path = SCRIPTS) -> Config:
    """For Alembic's commands over this connection."""
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@contextmanager
def connected(url: URL) -> Iterator[Connection]:
    """One transaction over a connection that is closed afterwards."""
    engine = create_engine(url, connect_args=connect_arguments(url))
    prepare(engine)
    try:
        with engine.connect() as connection:
            connection.execution_options(**WRITES)
            with connection.begin():
                yield connection
    finally:
        engine.dispose()


def _migrate_file(url: URL, scripts: Path) -> None:
    file = Path(str(url.database))
    _make_folder(file.parent)
    try:
        with FileLock(f"{file}.lock", timeout=LOCK_S, mode=0o600):
            _migrate_locked(url, file, scripts)
    except Timeout:
        raise QwellError(
            "database-locked",
            found=f"another server has been migrating {file} for {LOCK_S:.0f} s",
            expected="one server for each database",
            fix=f"end the other server, or give this one its own --data-dir; {file}.lock names it",
        ) from None
    except OSError as error:
        raise explained_file(error, url) from error


def _migrate_locked(url: URL, file: Path, scripts: Path) -> None:
    is_new = not file.exists()
    before = None if is_new else _revision(url)
    if not is_new and before == _newest(scripts):
        return
    backup = None if before is None else _back_up(file, before)
    _make_file(file)
    try:
        _upgrade(url, scripts)
    except BaseException:
        if backup is not None:
            _restore(backup, file)
        elif is_new:
            sqlite_file.remove_log(file)
            file.unlink(missing_ok=True)
        raise


def _upgrade(url: URL, scripts: Path) -> None:
    try:
        with connected(url) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_POSTGRES_LOCK})"))
            command.upgrade(alembic_config(connection, scripts), "head")
    except QwellError:
        raise
    except Exception as error:
        told = explained(error, url)
        raise told or behind(place(url), f"an upgrade step failed: {error}") from error


def _revision(url: URL) -> str | None:
    """Of a database that is there; None for one without a schema of ours."""
    try:
        with connected(url) as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except SQLAlchemyError as error:
        raise explained(error, url) or error from error


def _newest(scripts: Path) -> str | None:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    return ScriptDirectory.from_config(config).get_current_head()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _forbidden(folder, error) from error


def _forbidden(path: Path, error: OSError) -> QwellError:
    return QwellError(
        "disk-full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "permission-denied",
        found=f"{path} cannot be made: {error.strerror}",
        expected=f"a place for conversations that user {os.getuid()} may write to",
        fix="set --data-dir to a folder of this user, on a disk with free space",
    )


def _make_file(file: Path) -> None:
    """Readable by its owner only, like everything that SQLite then puts beside it."""
    try:
        file.touch(mode=0o600)
    except OSError as error:
        raise _forbidden(file, error) from error


# -- copies of an SQLite file


def _back_up(file: Path, revision: str) -> Path:
    """A consistent copy beside the file, also while others read it; older ones go."""
    backup = file.with_name(f"{file.name}.before-{revision}.bak")
    try:
        sqlite_file.copy(file, backup)
    except (sqlite3.Error, OSError) as error:
        raise QwellError(
            "database-migration-failed",
            found=f"no backup of {file} could be made: {error}",
            expected=f"room for a copy of {file.stat().st_size / 1e6:,.1f} MB beside it",
            fix=f"free some space (`df -h '{file.parent}'`) and start again; nothing was changed",
        ) from error
    backups = sorted(file.parent.glob(f"{file.name}.before-*.bak"), key=os.path.getmtime)
    for old in backups[:-KEPT_BACKUPS]:
        old.unlink()
    log.info("database backed up before its upgrade", extra={"backup": str(backup)})
    return backup


def _restore(backup: Path, file: Path) -> None:
    """Put a copy of the backup in the place of the file; the backup stays."""
    sqlite_file.remove_log(file)
    sqlite_file.copy(backup, file)
    log.warning("database restored after a failed upgrade", extra={"backup": str(backup)})
