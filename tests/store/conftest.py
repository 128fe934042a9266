"""Two databases for every test: a file, and a PostgreSQL cluster of our own."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, make_url, text

from qwell.store.migrate import migrate
from qwell.store.store import Store

_NUMBERS = itertools.count()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres(requires_program: Callable[[str], str]) -> Iterator[URL]:
    """A fresh cluster on a socket in a folder of its own, run by somebody who is not root."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = requires_program(str(versions[-1]) if versions else "initdb")
    pg_ctl = str(Path(initdb).resolve().with_name("pg_ctl"))
    folder = Path(tempfile.mkdtemp(prefix="qwell-pg-"))  # a socket's path must be short
    owner = "postgres" if os.geteuid() == 0 else None
    if owner:
        shutil.chown(folder, owner, owner)
    how = {"user": owner, "group": owner, "extra_groups": []} if owner else {}
    data = folder / "data"

    def run(*command: str | Path) -> None:
        subprocess.run(
            command, check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=60, **how
        )

    # the least helpful locale: everything must work without one
    run(initdb, "-D", data, "-U", "qwell", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    run(pg_ctl, "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
    try:
        yield make_url(f"postgresql+psycopg://qwell@/postgres?host={folder}")
    finally:
        run(pg_ctl, "-D", data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> URL:
    return URL.create("sqlite", database=str(tmp_path / "data" / "qwell.db"))


@pytest.fixture
def postgres_url(postgres: URL) -> URL:
    """An empty database."""
    name = f"test_{next(_NUMBERS)}"
    engine = create_engine(postgres, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return postgres.set(database=name)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> URL:
    """An empty database of each kind."""
    address: URL = request.getfixturevalue(
        "sqlite_url" if request.param == "sqlite" else "postgres_url"
    )
    return address


@pytest.fixture
async def store(url: URL) -> AsyncIterator[Store]:
    migrate(url)
    store = Store(url)
    yield store
    await store.close()
