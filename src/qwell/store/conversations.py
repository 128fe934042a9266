"""Conversations as a whole: list, find, begin, change, delete and bring back.

Knows messages only as what a search looks through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from qwell.errors import QwellError
from qwell.store import search
from qwell.store.database import Database
from qwell.store.records import MAX_TITLE, Conversation, now_ms, storable
from qwell.store.tables import ConversationRow, MessageRow
from qwell.store.terms import excerpt, query_terms

KEEP_DELETED_MS = 30 * 86_400_000  # how long what was deleted can be brought back

_COLUMNS = (
    ConversationRow.id,
    ConversationRow.title,
    ConversationRow.created_at,
    ConversationRow.updated_at,
    ConversationRow.current,
    ConversationRow.settings,
)
_IS_THERE = ConversationRow.deleted_at.is_(None)


@dataclass(frozen=True, slots=True)
class Found:
    """A conversation that a search came to; message is None when only the title has it."""

    conversation: Conversation
    message: str | None = None
    excerpt: str = ""


class Conversations:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(
        self, *, limit: int, before: tuple[int, str] | None = None
    ) -> list[Conversation]:
        """Newest first; before: updated_at and id of the last one of the page before."""
        statement = select(*_COLUMNS).where(_IS_THERE)
        if before is not None:
            at, last = before
            is_older = ConversationRow.updated_at < at
            is_next = and_(ConversationRow.updated_at == at, ConversationRow.id < last)
            statement = statement.where(or_(is_older, is_next))
        newest_first = (ConversationRow.updated_at.desc(), ConversationRow.id.desc())
        async with self._database.reading() as connection:
            rows = await connection.execute(statement.order_by(*newest_first).limit(limit))
            return [conversation_of(row) for row in rows]

    async def find(self, query: str, *, limit: int) -> list[Found]:
        """Those with every word of the query in one message, or with the query in the title."""
        in_title = ConversationRow.title.icontains(query.strip(), autoescape=True)
        terms = query_terms(query)
        newest = (
            select(MessageRow.conversation_id, func.max(MessageRow.key).label("key"))
            .where(
                MessageRow.key.in_(search.keys_with(terms, self._database.url.get_backend_name()))
                if terms
                else MessageRow.key < 0
            )
            .group_by(MessageRow.conversation_id)
            .subquery()
        )
        statement = (
            select(*_COLUMNS, MessageRow.id.label("message"), MessageRow.content)
            .outerjoin(newest, newest.c.conversation_id == ConversationRow.id)
            .outerjoin(MessageRow, MessageRow.key == newest.c.key)
            .where(_IS_THERE, or_(newest.c.key.is_not(None), in_title))
            .order_by(ConversationRow.updated_at.desc(), ConversationRow.id.desc())
            .limit(limit)
        )
        async with self._database.reading() as connection:
            rows = await connection.execute(statement)
            return [_found(row, query) for row in rows]

    async def get(self, conversation_id: str) -> Conversation:
        """Raises QwellError ``conversation-unknown``."""
        async with self._database.reading() as connection:
            return await get(connection, conversation_id)

    async def create(
        self, conversation_id: str, title: str, settings: Mapping[str, Any]
    ) -> Conversation:
        """Raises QwellError ``conversation-conflict`` when the id is taken."""
        made = Conversation(conversation_id, title, now_ms(), now_ms(), None, settings)
        async with self._database.writing() as connection:
            known = select(ConversationRow.id).where(ConversationRow.id == conversation_id)
            if (await connection.execute(known)).first():
                raise conflict(f"conversation id {conversation_id} is taken", "leave out the id")
            await put(connection, made)
        return made

    async def change(self, conversation_id: str, values: Mapping[str, Any]) -> Conversation:
        """Set title, settings or current. Raises QwellError when one of them cannot be.

        Faults: ``conversation-unknown``, and ``message-unknown`` for a current message of
        another conversation.
        """
        async with self._database.writing() as connection:
            await get(connection, conversation_id)
            if values.get("current") is not None:
                await _check_message(connection, conversation_id, values["current"])
            await _set(connection, conversation_id, **values)
            return await get(connection, conversation_id)

    async def delete(self, conversation_id: str) -> None:
        """Hide it; within KEEP_DELETED_MS restore brings it back. Raises as get."""
        async with self._database.writing() as connection:
            await get(connection, conversation_id)
            await _set(connection, conversation_id, deleted_at=now_ms())

    async def restore(self, conversation_id: str) -> Conversation:
        """Bring back what was deleted; no effect on what is there. Raises as get."""
        async with self._database.writing() as connection:
            await _set(connection, conversation_id, deleted_at=None)
            return await get(connection, conversation_id)

    async def purge(self, deleted_before: int) -> int:
        """Remove text and title of what was deleted before that time; how many there were.

        An empty row stays, so that a browser's copy does not come back as something new.
        """
        is_old = and_(ConversationRow.deleted_at < deleted_before, ConversationRow.title != "")
        async with self._database.writing() as connection:
            ids = (await connection.execute(select(ConversationRow.id).where(is_old))).scalars()
            gone = list(ids)
            for conversation_id in gone:
                await _empty(connection, conversation_id)
        return len(gone)


async def get(connection: AsyncConnection, conversation_id: str) -> Conversation:
    """One that is there. Raises QwellError ``conversation-unknown``."""
    statement = select(*_COLUMNS).where(ConversationRow.id == conversation_id, _IS_THERE)
    row = (await connection.execute(statement)).first()
    if row is None:
        raise unknown(conversation_id)
    return conversation_of(row)


async def put(connection: AsyncConnection, it: Conversation) -> None:
    values = {
        "id": it.id,
        "title": storable(it.title)[:MAX_TITLE],
        "created_at": it.created_at,
        "updated_at": it.updated_at,
        "current": it.current,
        "settings": dict(it.settings),
    }
    await connection.execute(insert(ConversationRow).values(values))


def conversation_of(row: Row[Any]) -> Conversation:
    return Conversation(
        row.id, row.title, row.created_at, row.updated_at, row.current, row.settings
    )


def unknown(conversation_id: str) -> QwellError:
    return QwellError(
        "conversation-unknown",
        found=f"no conversation with id {conversation_id[:64]!r}; it may have been deleted",
        expected="the id of a conversation that GET /api/conversations lists",
        fix="open it from the list again, or begin a new one",
    )


def conflict(found: str, fix: str) -> QwellError:
    return QwellError(
        "conversation-conflict",
        found=found,
        expected="an id that is new, or the same content as before",
        fix=fix,
    )


def message_unknown(message_id: str) -> QwellError:
    return QwellError(
        "message-unknown",
        found=f"no message with id {message_id[:64]!r} in this conversation",
        expected="an id that GET /api/conversations/{id}/messages lists",
        fix="open the conversation again: it may have changed elsewhere",
    )


async def _check_message(
    connection: AsyncConnection, conversation_id: str, message_id: str
) -> None:
    is_it = (MessageRow.conversation_id == conversation_id, MessageRow.id == message_id)
    if (await connection.execute(select(MessageRow.key).where(*is_it))).first() is None:
        raise message_unknown(message_id)


async def _set(connection: AsyncConnection, conversation_id: str, **values: Any) -> None:
    if "title" in values:
        values["title"] = storable(values["title"])[:MAX_TITLE]
    if values:
        this = ConversationRow.id == conversation_id
        await connection.execute(update(ConversationRow).where(this).values(**values))


async def _empty(connection: AsyncConnection, conversation_id: str) -> None:
    is_inside = MessageRow.conversation_id == conversation_id
    keys = (await connection.execute(select(MessageRow.key).where(is_inside))).scalars()
    await search.drop(connection, list(keys))
    await connection.execute(delete(MessageRow).where(is_inside))
    await _set(connection, conversation_id, title="", settings={}, current=None)


def _found(row: Row[Any], query: str) -> Found:
    conversation = conversation_of(row)
    if row.message is None:
        return Found(conversation)
    return Found(conversation, row.message, excerpt(row.content, query))
