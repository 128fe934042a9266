"""The store: one database, and what can be done with it."""

from __future__ import annotations

import logging

from sqlalchemy import URL

from qwell.store.conversations import KEEP_DELETED_MS, Conversations
from qwell.store.database import Database
from qwell.store.journal import Journal
from qwell.store.messages import Messages
from qwell.store.records import now_ms
from qwell.store.transfer import Transfer

log = logging.getLogger("qwell.store")


class Store:
    """Needs a database of this version's schema: see migrate.py."""

    def __init__(self, url: URL) -> None:
        self.database = Database(url)
        self.conversations = Conversations(self.database)
        self.messages = Messages(self.database)
        self.journal = Journal(self.database)
        self.transfer = Transfer(self.database)

    async def tidy(self) -> None:
        """What is due at every start: answers cut off by a crash, text deleted long ago."""
        n_interrupted = await self.journal.settle_leftovers()
        n_purged = await self.conversations.purge(now_ms() - KEEP_DELETED_MS)
        facts = {"interrupted": n_interrupted, "purged": n_purged}
        log.info("conversations are stored", extra=facts)

    async def close(self) -> None:
        await self.journal.close()
        await self.database.close()
