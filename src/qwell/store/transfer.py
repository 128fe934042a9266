"""Conversations out of the store and into it: whole trees, by id, without losing anything.

Bringing in adds what is missing and changes nothing that is there, so that doing it twice, or
from two browsers, is harmless. Knows no file format.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from qwell.store import conversations, messages, search
from qwell.store.conversations import Conversations
from qwell.store.database import Database
from qwell.store.records import MAX_MESSAGES, Conversation, Message, storable
from qwell.store.tables import ConversationRow, MessageRow

Outcome = Literal["added", "merged", "unchanged", "deleted", "refused"]
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Tree:
    """A conversation with its messages, each after its parent."""

    conversation: Conversation
    messages: Sequence[Message]


class Transfer:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, conversation_id: str) -> Tree:
        """The whole tree. Raises QwellError ``conversation-unknown``."""
        async with self._database.reading() as connection:
            conversation = await conversations.get(connection, conversation_id)
            found: list[Message] = []
            after: int | None = 0
            while after is not None:
                page = await messages.page(connection, conversation_id, after=after, limit=_PAGE)
                found += page.messages
                after = page.next
        return Tree(conversation, found)

    async def take_all(self) -> AsyncIterator[Tree]:
        """Every conversation, newest first, one in memory at a time."""
        before: tuple[int, str] | None = None
        while page := await Conversations(self._database).newest(limit=_PAGE, before=before):
            for conversation in page:
                yield await self.take(conversation.id)
            before = (page[-1].updated_at, page[-1].id)

    async def bring(self, tree: Tree, *, revive: bool) -> Outcome:
        """Add the conversation, or those of its messages that are missing.

        revive: bring a deleted conversation back; else it stays deleted. Refused are trees with
        a message that comes before its parent, and those that would grow beyond MAX_MESSAGES.
        """
        async with self._database.writing() as connection:
            this = ConversationRow.id == tree.conversation.id
            row = (await connection.execute(select(ConversationRow.deleted_at).where(this))).first()
            if row is not None and row.deleted_at is not None and not revive:
                return "deleted"
            here = MessageRow.conversation_id == tree.conversation.id
            stored = await connection.execute(select(MessageRow.id).where(here))
            known = set(stored.scalars())
            missing = [message for message in tree.messages if message.id not in known]
            if not _can_grow(known, missing):
                return "refused"
            if row is None:
                await conversations.put(connection, tree.conversation)
            for message in missing:
                await _add(connection, tree.conversation.id, message)
            was_deleted = row is not None and row.deleted_at is not None
            if row is not None and (missing or was_deleted):
                await _bring_up_to_date(connection, tree, known, missing, was_deleted=was_deleted)
        if row is None:
            return "added"
        return "merged" if missing or was_deleted else "unchanged"


def _can_grow(known: set[str], missing: Sequence[Message]) -> bool:
    there = set(known)
    for message in missing:
        if message.parent is not None and message.parent not in there:
            return False
        there.add(message.id)
    return len(there) == len(known) + len(missing) <= MAX_MESSAGES


async def _add(connection: AsyncConnection, conversation_id: str, it: Message) -> None:
    content = storable(it.content)
    values = {
        "conversation_id": conversation_id,
        "id": it.id,
        "parent": it.parent,
        "role": it.role,
        "content": content,
        "created_at": it.created_at,
        "state": "interrupted" if it.state == "partial" else it.state,
        "end": dict(it.end),
        "notices": [dict(notice) for notice in it.notices],
        "request_id": it.request_id,
    }
    result = await connection.execute(insert(MessageRow).values(values))
    assert result.inserted_primary_key is not None
    await search.put(connection, int(result.inserted_primary_key[0]), content)


async def _bring_up_to_date(
    connection: AsyncConnection,
    tree: Tree,
    known: set[str],
    missing: Sequence[Message],
    *,
    was_deleted: bool,
) -> None:
    """The newer side says when it was changed last and which branch is shown."""
    there = tree.conversation
    values: dict[str, object] = {"deleted_at": None}
    this = ConversationRow.id == there.id
    row = (await connection.execute(select(ConversationRow).where(this))).one()
    if there.updated_at >= row.updated_at:
        values["updated_at"] = there.updated_at
        if there.current in known | {message.id for message in missing}:
            values["current"] = there.current
    if was_deleted and not row.title:
        values["title"] = storable(there.title)
    await connection.execute(update(ConversationRow).where(this).values(**values))
