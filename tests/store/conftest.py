"""Two databases for every test: a file, and one of the PostgreSQL cluster of the tests."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, text

from qwell.store.migrate import migrate
from qwell.store.store import Store

_NUMBERS = itertools.count()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


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
