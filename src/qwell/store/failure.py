"""What a database says when it refuses, as errors that say what to do.

Knows SQLite's result codes and PostgreSQL's SQLSTATEs; not what was being done.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from qwell.errors import QwellError

_SQLITE = {
    5: "locked",  # SQLITE_BUSY
    6: "locked",  # SQLITE_LOCKED
    8: "readonly",  # SQLITE_READONLY
    10: "unreachable",  # SQLITE_IOERR
    11: "corrupt",  # SQLITE_CORRUPT
    13: "full",  # SQLITE_FULL
    14: "unopenable",  # SQLITE_CANTOPEN
    26: "corrupt",  # SQLITE_NOTADB
}
_POSTGRESQL = {
    "53100": "full",  # disk_full
    "55P03": "locked",  # lock_not_available
    "57014": "locked",  # query_canceled, by statement_timeout
    "25006": "readonly",  # read_only_sql_transaction
    "XX001": "corrupt",  # data_corrupted
    "XX002": "corrupt",  # index_corrupted
}


def explained(error: Exception, url: URL) -> QwellError | None:
    """None for what is no fault of the database but a bug of ours."""
    if isinstance(error, PoolTimeoutError):
        return _locked(url)
    if not isinstance(error, DBAPIError):
        return None
    match _kind(error):
        case "locked":
            return _locked(url)
        case "full":
            return _full(url)
        case "corrupt":
            return _corrupt(url, error)
        case "readonly" | "unopenable":
            return _forbidden(url, error)
        case "unreachable":
            return _unreachable(url, error)
        case "behind":
            return behind(place(url), str(error.orig))
    return None


def explained_file(error: OSError, url: URL) -> QwellError:
    """What the system says about the file or its folder, before any database is asked."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(url)
    return _forbidden(url, error)


def place(url: URL) -> str:
    """The file, or the address without its password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.render_as_string(hide_password=True)


def _kind(error: DBAPIError) -> str:
    cause: object = error.orig
    while cause is not None:  # the asynchronous drivers wrap once more
        code = getattr(cause, "sqlite_errorcode", None)
        if code is not None:
            return _kind_of_code(code & 0xFF, str(cause))  # the low byte is the primary code
        state = getattr(cause, "sqlstate", None)
        if state is not None:
            return _kind_of_state(state)
        cause = getattr(cause, "__cause__", None)
    return "unreachable" if error.connection_invalidated or _is_operational(error) else ""


def _kind_of_code(code: int, message: str) -> str:
    if code == 1:  # SQLITE_ERROR: the statement does not fit the schema
        return "behind" if message.startswith("no such") else ""
    is_ours = code in (18, 19, 20, 21, 25)  # too big, constraint, mismatch, misuse, range
    return _SQLITE.get(code, "" if is_ours else "unreachable")


def _kind_of_state(state: str) -> str:
    if state == "42P01":  # undefined_table
        return "behind"
    is_connection = state[:2] in ("08", "28", "3D", "53", "57")  # link, login, name, limits, end
    return _POSTGRESQL.get(state, "unreachable" if is_connection else "")


def _is_operational(error: DBAPIError) -> bool:
    return type(error).__name__ in ("OperationalError", "InterfaceError")


def _locked(url: URL) -> QwellError:
    return QwellError(
        "database-locked",
        found=f"{place(url)} is held by someone else",
        expected="one server for each database, and no long transaction of other programs",
        fix=f"end the other program (`fuser {place(url)}` names it); nothing else is to do"
        if url.get_backend_name() == "sqlite"
        else "look for long transactions in pg_stat_activity and end them",
    )


def _full(url: URL) -> QwellError:
    if url.get_backend_name() != "sqlite":
        return QwellError(
            "disk-full",
            found=f"{place(url)} has no room left",
            expected="free space on the database server",
            fix="free some space there",
        )
    folder = Path(str(url.database)).parent
    if _has_no_inode(folder):
        return QwellError(
            "inodes-full",
            found=f"no new file can be made in {folder}: all inodes are used",
            expected="free inodes, which are used up by many small files",
            fix=f"remove small files (`df -i '{folder}'`), or set --data-dir to another disk",
        )
    free = f"{shutil.disk_usage(folder).free / 1e6:,.0f} MB free in " if folder.is_dir() else ""
    return QwellError(
        "disk-full",
        found=f"{free}{folder}: not enough to save conversations",
        expected="free space for the database",
        fix=f"free some space (`df -h '{folder}'`), or set --data-dir to a larger disk",
    )


def _has_no_inode(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    state = os.statvfs(folder)
    return state.f_files > 0 and state.f_favail == 0


def _corrupt(url: URL, error: DBAPIError) -> QwellError:
    file = place(url)
    return QwellError(
        "database-corrupt",
        found=f"{file}: {error.orig}",
        expected="a whole database",
        fix=f"stop the server, `mv '{file}' '{file}.damaged'` and start it again; "
        f"`sqlite3 '{file}.damaged' .recover` shows what can be saved, "
        f"and backups made before upgrades lie beside it",
    )


def _forbidden(url: URL, error: DBAPIError | OSError) -> QwellError:
    folder = Path(str(url.database)).parent
    if _has_no_inode(folder):
        return _full(url)
    said = error.orig if isinstance(error, DBAPIError) else error.strerror
    is_read_only = folder.is_dir() and os.statvfs(folder).f_flag & os.ST_RDONLY
    return QwellError(
        "read-only-filesystem" if is_read_only else "permission-denied",
        found=f"{place(url)}: {said}",
        expected="a database that this user may read and write, and its folder, too",
        fix=f"`ls -la '{folder}'` shows the owner; set --data-dir to a folder of this user",
    )


def _unreachable(url: URL, error: DBAPIError) -> QwellError:
    reason = str(error.orig).strip().partition("\n")[0]
    return QwellError(
        "database-unreachable",
        found=f"{place(url)}: {reason[:300]}",
        expected="a database that answers",
        fix="check that it runs, and the user, password, host and name in database_url"
        if url.get_backend_name() != "sqlite"
        else "check the disk: `dmesg` names one that fails",
    )


def behind(where: str, detail: str) -> QwellError:
    return QwellError(
        "database-migration-failed",
        found=f"{where}: {detail.strip()[:300]}",
        expected="the schema of this version",
        fix="start the server again: it migrates at start; if that fails, it says why",
    )
