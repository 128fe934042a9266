"""Messages as a tree: the branch above one, all of them page by page.

Editing and asking again add a branch; nothing that was said is ever changed. Knows nothing of
how an answer grows: that is journal.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from qwell.store import conversations
from qwell.store.database import Database
from qwell.store.records import MAX_MESSAGES, Message
from qwell.store.tables import MessageRow

PAGE_CHARS = 2_000_000  # of text in one page; a single longer message comes alone

_COLUMNS = (
    MessageRow.key,
    MessageRow.id,
    MessageRow.parent,
    MessageRow.role,
    MessageRow.content,
    MessageRow.created_at,
    MessageRow.state,
    MessageRow.end,
    MessageRow.notices,
    MessageRow.request_id,
)


@dataclass(frozen=True, slots=True)
class Page:
    """Messages in the order they came; next: where the following page begins, None at the end."""

    messages: list[Message]
    next: int | None


class Messages:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, conversation_id: str, *, after: int = 0, limit: int = 200) -> Page:
        """Raises QwellError ``conversation-unknown``."""
        async with self._database.reading() as connection:
            await conversations.get(connection, conversation_id)
            return await page(connection, conversation_id, after=after, limit=limit)

    async def branch(self, conversation_id: str, leaf: str | None) -> list[Message]:
        """From the beginning down to leaf; empty for None.

        Raises QwellError ``conversation-unknown`` or ``message-unknown``.
        """
        async with self._database.reading() as connection:
            await conversations.get(connection, conversation_id)
            return await branch(connection, conversation_id, leaf)


async def page(
    connection: AsyncConnection, conversation_id: str, *, after: int = 0, limit: int
) -> Page:
    """At most limit messages and PAGE_CHARS of text, but at least one while there are any."""
    is_here = (MessageRow.conversation_id == conversation_id, MessageRow.key > after)
    lengths = select(MessageRow.key, func.length(MessageRow.content).label("n_chars"))
    sizes = await connection.execute(
        lengths.where(*is_here).order_by(MessageRow.key).limit(limit + 1)
    )
    keys, has_more = _fitting([(row.key, row.n_chars) for row in sizes], limit)
    statement = select(*_COLUMNS).where(MessageRow.key.in_(keys)).order_by(MessageRow.key)
    rows = (await connection.execute(statement)).all()
    return Page([message_of(row) for row in rows], keys[-1] if has_more else None)


async def branch(
    connection: AsyncConnection, conversation_id: str, leaf: str | None
) -> list[Message]:
    """See Messages.branch; the conversation is there."""
    if leaf is None:
        return []
    here = MessageRow.conversation_id == conversation_id
    above = (
        select(MessageRow.key, MessageRow.parent)
        .where(here, MessageRow.id == leaf)
        .cte("above", recursive=True)
    )
    above = above.union_all(
        select(MessageRow.key, MessageRow.parent).where(here, MessageRow.id == above.c.parent)
    )
    statement = select(*_COLUMNS).where(MessageRow.key.in_(select(above.c.key)))
    rows = (await connection.execute(statement.order_by(MessageRow.key).limit(MAX_MESSAGES))).all()
    if not rows:
        raise conversations.message_unknown(leaf)
    return [message_of(row) for row in rows]


def message_of(row: Row[Any]) -> Message:
    return Message(
        id=row.id,
        parent=row.parent,
        role=row.role,
        content=row.content,
        created_at=row.created_at,
        state=row.state,
        end=row.end,
        notices=tuple(row.notices),
        request_id=row.request_id,
    )


def _fitting(sizes: list[tuple[int, int]], limit: int) -> tuple[list[int], bool]:
    """Keys of the first page, and whether there is more."""
    keys: list[int] = []
    total = 0
    for key, n_chars in sizes:
        total += n_chars
        if len(keys) == limit or (keys and total > PAGE_CHARS):
            return keys, True
        keys.append(key)
    return keys, False
