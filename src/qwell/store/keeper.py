"""Opens the store beside everything else, and again after it was broken.

Loads the database libraries, which takes a moment, only when the store is opened. Knows no SQL.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from qwell.config import Settings
from qwell.errors import QwellError

if TYPE_CHECKING:
    from sqlalchemy import URL

    from qwell.store.store import Store

PATIENCE_S = 5.0  # how long somebody waits for a store that is still being opened
RETRY_S = 10.0  # how long a refusal is believed before the next attempt
MOST_MISSED = 1000
LOOK_S = 1.0  # what does not answer by then may be busy: that is no loss

log = logging.getLogger("qwell.store")


class StoreKeeper:
    """Belongs to the event loop that calls it."""

    def __init__(self, settings: Settings, *, retry_s: float = RETRY_S) -> None:
        self._settings = settings
        self._retry_s = retry_s
        self._store: Store | None = None
        self._opening: asyncio.Task[Store] | None = None
        self._tried_at = 0.0
        self._lost: QwellError | None = None
        # conversations that could not be saved, and why: their clients may go on with them
        self.missed: dict[str, QwellError] = {}

    def miss(self, conversation: str, error: QwellError) -> None:
        """Of MOST_MISSED conversations only: those before are forgotten."""
        self.missed[conversation] = error
        if len(self.missed) > MOST_MISSED:
            del self.missed[next(iter(self.missed))]

    def start(self) -> None:
        """Begin opening; returns at once."""
        self._opening = self._opening or asyncio.create_task(self._open())

    async def get(self, patience_s: float = PATIENCE_S) -> Store:
        """The open store. Raises QwellError saying why there is none now."""
        if self._store is not None:
            return self._store
        if self._has_failed() and time.monotonic() - self._tried_at > self._retry_s:
            self._opening = None
        self.start()
        assert self._opening is not None
        try:
            return await asyncio.wait_for(asyncio.shield(self._opening), patience_s)
        except TimeoutError:
            raise QwellError(
                "database-locked",
                found="the database is still being opened or upgraded",
                expected="an open database",
                fix="wait; the log says when conversations are stored",
            ) from None

    @property
    def error(self) -> QwellError | None:
        """Why there is no store: the last attempt to open it failed, or the last look at it."""
        if not self._has_failed():
            return self._lost
        assert self._opening is not None
        error = None if self._opening.cancelled() else self._opening.exception()
        return error if isinstance(error, QwellError) else None

    async def look(self) -> None:
        """See whether the store still answers, once it is open."""
        if self._store is None:
            return
        try:
            await asyncio.wait_for(self._store.database.ping(), LOOK_S)
        except QwellError as error:
            self._lost = error
        except TimeoutError:
            log.info("the database takes its time", extra={"seconds": LOOK_S})
        else:
            self._lost = None

    async def close(self) -> None:
        """Store what is on its way, then let go of the database."""
        if self._opening is not None:
            with suppress(QwellError):
                await self._opening
        if self._store is not None:
            await self._store.close()
        self._store = self._opening = None

    def _has_failed(self) -> bool:
        return self._opening is not None and self._opening.done() and self._store is None

    async def _open(self) -> Store:
        try:
            self._store = await self._prepared()
        except QwellError as error:
            log.warning("conversations cannot be stored", extra={"cause": str(error)})
            raise
        finally:
            self._tried_at = time.monotonic()
        return self._store

    async def _prepared(self) -> Store:
        url = await asyncio.to_thread(_migrated, self._settings)
        from qwell.store.store import Store

        store = Store(url)
        try:
            await store.tidy()
        except BaseException:
            await store.close()
            raise
        return store


def _migrated(settings: Settings) -> URL:
    """The address of a database that has the schema of this version. For a thread."""
    try:
        importlib.import_module("qwell.store.store")
    except ModuleNotFoundError as error:
        raise _module_missing(error.name or "") from error
    from qwell.store.database import database_url
    from qwell.store.migrate import migrate

    url = database_url(settings)
    try:
        migrate(url)
    except ModuleNotFoundError as error:
        raise _module_missing(error.name or "") from error
    return url


def _module_missing(name: str) -> QwellError:
    extra = "'qwell[postgres]'" if name.startswith("psycopg") else "--force-reinstall qwell"
    return QwellError(
        "python-module-missing",
        found=f"no Python module named {name!r}",
        expected="the libraries that conversations are stored with",
        fix=f"pip install {extra}",
    )
