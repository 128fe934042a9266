"""Every step of the schema both ways on filled databases, and the way back when a step fails."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock
from sqlalchemy import URL, inspect

from qwell.errors import QwellError
from qwell.store import migrate as migrate_module
from qwell.store import sqlite_file
from qwell.store.migrate import SCRIPTS, alembic_config, connected, migrate
from qwell.store.records import Conversation, Message
from qwell.store.store import Store
from qwell.store.tables import Base
from qwell.store.transfer import Tree

pytestmark = pytest.mark.anyio

TREE = Tree(
    Conversation("c", "title", 1, 2, "m", {"system": "s"}), [Message("m", None, "user", "缓存", 1)]
)


async def fill(url: URL) -> None:
    store = Store(url)
    await store.transfer.bring(TREE, revive=False)
    await store.close()


async def content(url: URL) -> list[Tree]:
    store = Store(url)
    trees = [tree async for tree in store.transfer.take_all()]
    await store.close()
    return trees


def revision(url: URL) -> str | None:
    with connected(url) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def step_to(url: URL, target: str, *, down: bool = False) -> None:
    with connected(url) as connection:
        move = command.downgrade if down else command.upgrade
        move(alembic_config(connection), target)


def steps() -> list[str]:
    """Revisions from the first to the newest."""
    walk = ScriptDirectory(str(SCRIPTS)).walk_revisions()
    return [script.revision for script in walk][::-1]


async def test_every_step_goes_up_and_down_on_a_filled_database(url: URL) -> None:
    migrate(url)
    await fill(url)
    for name in reversed(steps()):
        assert revision(url) == name
        step_to(url, "-1", down=True)
        step_to(url, "+1")
        assert revision(url) == name
        step_to(url, "-1", down=True)
    assert revision(url) is None
    migrate(url)
    await fill(url)
    assert await content(url) == [TREE]


def test_the_schema_is_the_one_that_the_program_reads(url: URL) -> None:
    migrate(url)
    with connected(url) as connection:
        found = inspect(connection)
        for name, table in Base.metadata.tables.items():
            columns = {column["name"]: column["nullable"] for column in found.get_columns(name)}
            assert columns == {column.name: column.nullable for column in table.columns}


def test_only_its_owner_may_read_the_file(sqlite_url: URL, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)  # by somebody else
    migrate(sqlite_url)
    made = [path for path in (tmp_path / "data").iterdir() if path.suffix != ".lock"]
    assert made
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}


async def test_a_second_start_changes_nothing(url: URL, sqlite_url: URL) -> None:
    migrate(url)
    await fill(url)
    migrate(url)
    assert await content(url) == [TREE]
    assert not list(Path(str(sqlite_url.database)).parent.glob("*.bak"))


BROKEN = """
from alembic import op
revision = "9999"
down_revision = "NEWEST"
def upgrade():
    op.execute("DELETE FROM messages")
    op.execute("CREATE TABLE half_done (id INTEGER)")
    raise ValueError("no further")
def downgrade(): ...
"""


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """The steps, and one more that does something and then fails."""
    scripts = tmp_path / "scripts"
    shutil.copytree(SCRIPTS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    broken = BROKEN.replace("NEWEST", steps()[-1])
    (scripts / "versions" / "9999_broken.py").write_text(broken, encoding="utf-8")
    return scripts


async def test_a_failing_step_leaves_everything_as_it_was(url: URL, newer: Path) -> None:
    migrate(url)
    await fill(url)
    with pytest.raises(QwellError, match="no further") as failed:
        migrate(url, newer)
    assert failed.value.fault == "database-migration-failed"
    assert revision(url) == steps()[-1]
    assert await content(url) == [TREE]


async def test_a_step_that_damaged_the_file_is_undone_from_the_backup(
    sqlite_url: URL, newer: Path
) -> None:
    migrate(sqlite_url)
    await fill(sqlite_url)
    file = Path(str(sqlite_url.database))
    broken = newer / "versions" / "9999_broken.py"
    vandal = f"    import pathlib; pathlib.Path({str(file)!r}).write_bytes(b'x' * 9999)\n    raise"
    broken.write_text(broken.read_text().replace("    raise", vandal), encoding="utf-8")
    with pytest.raises(QwellError, match="database-"):
        migrate(sqlite_url, newer)
    assert await content(sqlite_url) == [TREE]


async def test_an_upgrade_keeps_a_copy_of_what_was_before(sqlite_url: URL, newer: Path) -> None:
    migrate(sqlite_url)
    await fill(sqlite_url)
    broken = newer / "versions" / "9999_broken.py"
    broken.write_text(broken.read_text().replace("raise", "pass  #"), encoding="utf-8")
    migrate(sqlite_url, newer)
    file = Path(str(sqlite_url.database))
    (backup,) = file.parent.glob("*.bak")
    assert await content(sqlite_url) == [replace(TREE, messages=[])]
    assert await content(sqlite_url.set(database=str(backup))) == [TREE]


def test_only_the_last_backups_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "qwell.db"
    sqlite3.connect(file).close()
    for n in range(migrate_module.KEPT_BACKUPS + 2):
        migrate_module._back_up(file, str(n))
    assert len(list(tmp_path.glob("*.bak"))) == migrate_module.KEPT_BACKUPS


def test_a_database_of_a_newer_version_is_left_alone(url: URL) -> None:
    migrate(url)
    with connected(url) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(QwellError, match="9999") as failed:
        migrate(url)
    assert failed.value.fault == "database-migration-failed"


def test_a_first_step_that_fails_leaves_no_file(sqlite_url: URL, newer: Path) -> None:
    with pytest.raises(QwellError, match="no further"):
        migrate(sqlite_url, newer)
    assert not Path(str(sqlite_url.database)).exists()


def test_a_file_that_is_no_database_is_left_alone(sqlite_url: URL) -> None:
    file = Path(str(sqlite_url.database))
    file.parent.mkdir()
    file.write_bytes(b"somebody's letter" * 1000)
    with pytest.raises(QwellError) as failed:
        migrate(sqlite_url)
    assert failed.value.fault == "database-corrupt"
    assert file.read_bytes().startswith(b"somebody")


def test_two_servers_do_not_migrate_at_once(
    sqlite_url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate_module, "LOCK_S", 0.01)
    file = Path(str(sqlite_url.database))
    file.parent.mkdir()
    with FileLock(f"{file}.lock"), pytest.raises(QwellError) as failed:
        migrate(sqlite_url)
    assert failed.value.fault == "database-locked"


def test_no_room_for_a_backup_means_no_upgrade(
    sqlite_url: URL, newer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(sqlite_url)
    file = Path(str(sqlite_url.database))

    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sqlite_file, "copy", full)
    with pytest.raises(QwellError, match="No space left") as failed:
        migrate(sqlite_url, newer)
    assert failed.value.fault == "database-migration-failed"
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    url = URL.create("sqlite", database=str(tmp_path / "file" / "sub" / "qwell.db"))
    with pytest.raises(QwellError) as failed:
        migrate(url)
    assert failed.value.fault == "permission-denied"
