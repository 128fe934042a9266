"""A copy of all conversations while a server writes, and the way back from it.

For SQLite files; PostgreSQL has tools of its own. Knows no tables.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from alembic.script import ScriptDirectory
from alembic.util import CommandError
from filelock import FileLock, Timeout
from sqlalchemy import URL

from qwell.errors import QwellError
from qwell.store import sqlite_file
from qwell.store.failure import explained_file, place
from qwell.store.migrate import SCRIPTS

ASIDE = ".before-restore.bak"


def backup(url: URL, target: Path) -> Path:
    """Write a checked copy; into a folder, under a name with the time. Returns its path.

    Overwrites nothing. Raises QwellError ``config-invalid``, ``database-corrupt``, ``disk-full``,
    ``permission-denied``.
    """
    file = _file(url, "pg_dump --format=custom --file=qwell.dump DATABASE_URL")
    if not file.exists():
        raise _wrong(f"no {file}", "a data folder with conversations", "name it with --data-dir")
    if target.is_dir():
        target /= f"qwell-{time.strftime('%Y%m%d-%H%M%S')}.db"
    if target.exists():
        raise _wrong(f"{target} exists", "a new name: no backup is overwritten", "choose another")
    try:
        sqlite_file.copy(file, target)
    except OSError as error:
        raise explained_file(error, URL.create("sqlite", database=str(target))) from error
    except sqlite3.Error as error:
        raise _not_copied(file, target, error) from error
    _check(target)
    return target


def restore(url: URL, source: Path) -> Path | None:
    """Put a backup in the place of the database. What was there is kept; returns its path.

    Raises QwellError as above, and ``database-locked`` while a server has the database open,
    ``database-migration-failed`` for a backup of a newer version. Then nothing was changed.
    """
    file = _file(url, "pg_restore --clean --if-exists --dbname=DATABASE_URL qwell.dump")
    if not source.is_file():
        raise _wrong(f"no file {source}", "a file that `qwell backup` made", "correct the path")
    _check(source)
    _check_revision(source)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(f"{file}.lock", timeout=0, mode=0o600):
            return _replace(file, source)
    except Timeout:
        raise _open_elsewhere(file) from None
    except OSError as error:
        raise explained_file(error, url) from error
    except sqlite3.Error as error:
        raise _not_copied(source, file, error) from error


def _replace(file: Path, source: Path) -> Path | None:
    aside = file.with_name(f"{file.name}{ASIDE}") if file.exists() else None
    if aside is not None:
        _close(file)
        file.replace(aside)
    sqlite_file.remove_log(file)
    try:
        sqlite_file.copy(source, file)
    except BaseException:
        if aside is not None:
            aside.replace(file)
        raise
    return aside


def _close(file: Path) -> None:
    """Write the log into the file, which SQLite does only for its last user."""
    with closing(sqlite3.connect(file, timeout=0)) as connection:
        try:
            connection.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.OperationalError as error:
            raise _open_elsewhere(file) from error
        except sqlite3.DatabaseError:
            return  # damaged: that may be why it is replaced


def _check(file: Path) -> None:
    """A database of ours, without damage that SQLite can see."""
    result, n_tables = "", 0
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(_read_only(file), uri=True)) as c:
        result = str(c.execute("PRAGMA quick_check(1)").fetchone()[0])
        n_tables = c.execute(
            "SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'"
        ).fetchone()[0]
    if result != "ok":
        raise _damaged(file, result or "no database")
    if not n_tables:
        raise _wrong(f"{file} is a database of something else", "qwell's own", "correct the path")


def _check_revision(source: Path) -> None:
    with closing(sqlite3.connect(_read_only(source), uri=True)) as connection:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    try:
        ScriptDirectory(str(SCRIPTS)).get_revision(row[0] if row else "base")
    except CommandError:
        raise QwellError(
            "database-migration-failed",
            found=f"{source} has schema {row[0]}, which this version does not know",
            expected="a backup of this version or of an older one",
            fix="install the version that made the backup, or a newer one; see docs/upgrade.md",
        ) from None


def _read_only(file: Path) -> str:
    return f"{file.absolute().as_uri()}?mode=ro&immutable=1"


def _file(url: URL, command: str) -> Path:
    if url.get_backend_name() != "sqlite":
        raise _wrong(f"conversations in {place(url)}", "an SQLite file", f"`{command}`")
    return Path(str(url.database))


def _wrong(found: str, expected: str, fix: str) -> QwellError:
    return QwellError("config-invalid", found=found, expected=expected, fix=fix)


def _not_copied(source: Path, target: Path, error: sqlite3.Error) -> QwellError:
    """Whose fault it is: the disk's that was written to, or the file's that was read."""
    code = getattr(error, "sqlite_errorcode", 0)  # none where the module itself raises
    if code & 0xFF != sqlite3.SQLITE_FULL:  # the low byte is the primary code
        return _damaged(source, str(error))
    return QwellError(
        "disk-full",
        found=f"no room in {target.parent} for a copy of {source.stat().st_size / 1e6:,.1f} MB",
        expected="free space for the whole copy; nothing was changed",
        fix=f"free some space (`df -h '{target.parent}'`), or name a folder on another disk",
    )


def _damaged(file: Path, said: str) -> QwellError:
    return QwellError(
        "database-corrupt",
        found=f"{file}: {said}",
        expected="a database that SQLite can read whole",
        fix="take an older backup; export what can still be read: GET /api/conversations/export",
    )


def _open_elsewhere(file: Path) -> QwellError:
    return QwellError(
        "database-locked",
        found=f"a server has {file} open",
        expected="nobody, while it is replaced",
        fix="stop the server, restore, and start it again",
    )
