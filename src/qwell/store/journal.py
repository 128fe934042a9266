"""Answers as they grow: begun with their question, written every moment, ended once.

All growing answers share one transaction per interval, so that storing costs the same for one
conversation and for many. Knows nothing of streams or workers.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import and_, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from qwell.errors import QwellError
from qwell.store import conversations, search
from qwell.store.database import Database
from qwell.store.records import MAX_MESSAGES, Conversation, State, Turn, now_ms, storable, title_of
from qwell.store.tables import ConversationRow, MessageRow

FLUSH_EVERY_S = 0.25  # what a crash of the server may cost of an answer
MAX_OWED = 64  # answers whose end could not be stored, kept until it can; the oldest go first

log = logging.getLogger("qwell.store")


class GrowingAnswer:
    """One answer on its way into the store. Only the request that began it last may write it."""

    def __init__(self, journal: Journal, key: int, request_id: str) -> None:
        self.key = key
        self.request_id = request_id
        self.is_ended = False
        self._journal = journal
        self._pieces: list[str] = []
        self._notices: list[Mapping[str, Any]] = []

    def add(self, text: str) -> None:
        """Returns at once; the text is stored within FLUSH_EVERY_S."""
        self._pieces.append(storable(text))
        self._journal.wake(self)

    def note(self, notice: Mapping[str, Any]) -> None:
        self._notices.append(notice)

    async def end(self, state: State, end: Mapping[str, Any]) -> None:
        """Store the whole answer and how it ended. Raises QwellError when that is refused."""
        self.is_ended = True
        await self._journal.write_end(self, self.values(state) | {"end": dict(end)})

    def abandon(self) -> None:
        """Store what came, as interrupted, when nobody can wait for it any more."""
        if not self.is_ended:
            self.is_ended = True
            self._journal.write_later(self, self.values("interrupted") | {"end": {}})

    def values(self, state: State) -> dict[str, Any]:
        """Columns as they are now."""
        self._pieces = ["".join(self._pieces)]
        notices = [dict(notice) for notice in self._notices]
        return {"content": self._pieces[0], "state": state, "notices": notices}


class Journal:
    def __init__(self, database: Database, *, every_s: float = FLUSH_EVERY_S) -> None:
        self._database = database
        self._every_s = every_s
        self._grown: set[GrowingAnswer] = set()
        self._flusher: asyncio.Task[None] | None = None
        self._endings: set[asyncio.Task[None]] = set()
        self._owed: dict[GrowingAnswer, Mapping[str, Any]] = {}  # ends that were refused
        self._trouble = ""  # the fault that keeps answers from being stored

    async def begin(self, turn: Turn) -> GrowingAnswer:
        """Store the question, unless it is there, and an answer without text below it.

        Raises QwellError: ``conversation-unknown``, ``message-unknown``,
        ``conversation-conflict``, ``conversation-too-long``, or a fault of the database.
        """
        async with self._database.writing() as connection:
            await _open_conversation(connection, turn)
            await _put_question(connection, turn)
            key = await _put_answer(connection, turn)
            this = ConversationRow.id == turn.conversation
            changes = {"updated_at": now_ms(), "current": turn.answer}
            await connection.execute(update(ConversationRow).where(this).values(**changes))
        return GrowingAnswer(self, key, turn.request_id)

    async def go_on(self, conversation: str, answer: str) -> GrowingAnswer:
        """Take over an answer whose server is gone: what that one still writes is refused.

        Raises QwellError: ``message-unknown``, or a fault of the database.
        """
        request_id = f"taken-over-{secrets.token_hex(6)}"
        async with self._database.writing() as connection:
            known = await _row(connection, conversation, answer)
            if known is None:
                raise conversations.message_unknown(answer)
            this = MessageRow.key == known.key
            values = {"request_id": request_id, "state": "partial", "end": {}}
            await connection.execute(update(MessageRow).where(this).values(**values))
        return GrowingAnswer(self, known.key, request_id)

    async def settle_leftovers(self) -> int:
        """Mark answers that a server left behind as interrupted, and index them; how many.

        An answer that another server is writing right now marks itself again as partial.
        """
        is_partial = MessageRow.state == "partial"
        async with self._database.writing() as connection:
            rows = await connection.execute(
                select(MessageRow.key, MessageRow.content).where(is_partial)
            )
            leftovers = rows.all()
            for row in leftovers:
                await search.put(connection, row.key, row.content)
            await connection.execute(
                update(MessageRow).where(is_partial).values(state="interrupted")
            )
        return len(leftovers)

    async def close(self) -> None:
        """Wait until everything that was handed over is stored or refused."""
        if self._flusher is not None:
            await self._flusher
        self._try_owed()
        if self._endings:
            await asyncio.wait(self._endings)

    # -- for GrowingAnswer

    def wake(self, answer: GrowingAnswer) -> None:
        self._grown.add(answer)
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush_soon())

    async def write_end(self, answer: GrowingAnswer, values: Mapping[str, Any]) -> None:
        """What is refused now is tried once more after the next end that is stored."""
        self._grown.discard(answer)
        try:
            await self._put_end(answer, values)
        except QwellError:
            self._owed[answer] = values
            for oldest in list(self._owed)[:-MAX_OWED]:
                del self._owed[oldest]
            raise
        self._try_owed()

    def _try_owed(self) -> None:
        owed, self._owed = self._owed, {}
        for answer, values in owed.items():
            self.write_later(answer, values)

    async def _put_end(self, answer: GrowingAnswer, values: Mapping[str, Any]) -> None:
        async with self._database.writing() as connection:
            if await _write(connection, answer, values):
                await search.put(connection, answer.key, values["content"])
                holder = select(MessageRow.conversation_id).where(MessageRow.key == answer.key)
                await connection.execute(
                    update(ConversationRow)
                    .where(ConversationRow.id == holder.scalar_subquery())
                    .values(updated_at=now_ms())
                )

    def write_later(self, answer: GrowingAnswer, values: Mapping[str, Any]) -> None:
        task = asyncio.create_task(self._write_quietly(answer, values))
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    async def _write_quietly(self, answer: GrowingAnswer, values: Mapping[str, Any]) -> None:
        try:
            await self.write_end(answer, values)
        except QwellError as error:
            log.warning("an answer could not be stored", extra={"cause": str(error)})

    async def _flush_soon(self) -> None:
        """Runs while answers grow; what cannot be stored now is tried again when they grow on."""
        while self._grown:
            await asyncio.sleep(self._every_s)
            grown, self._grown = self._grown, set()
            writing = [answer for answer in grown if not answer.is_ended]
            try:
                await self._flush(writing)
            except QwellError as error:
                self._note_trouble(error)
            else:
                self._note_success(len(writing))

    def _note_trouble(self, error: QwellError) -> None:
        """Said once, not with each try: a full disk needs no flood in its log."""
        if error.fault != self._trouble:
            log.warning("answers could not be stored yet", extra={"cause": str(error)})
        self._trouble = error.fault

    def _note_success(self, n_written: int) -> None:
        if self._trouble and n_written:
            log.info("answers are stored again")
            self._trouble = ""

    async def _flush(self, answers: list[GrowingAnswer]) -> None:
        if not answers:
            return
        async with self._database.writing() as connection:
            for answer in answers:
                if not answer.is_ended:  # meanwhile: its end has been written or is on its way
                    await _write(connection, answer, answer.values("partial"))


async def _write(
    connection: AsyncConnection, answer: GrowingAnswer, values: Mapping[str, Any]
) -> bool:
    """False when another request has taken the answer over, or it is gone."""
    is_ours = and_(MessageRow.key == answer.key, MessageRow.request_id == answer.request_id)
    result = await connection.execute(update(MessageRow).where(is_ours).values(**values))
    return bool(result.rowcount)


async def _open_conversation(connection: AsyncConnection, turn: Turn) -> None:
    """A conversation begins with the first question that has no parent."""
    this = ConversationRow.id == turn.conversation
    row = (await connection.execute(select(ConversationRow.deleted_at).where(this))).first()
    if row is None and turn.parent is None:
        title, now = title_of(turn.content), now_ms()
        made = Conversation(turn.conversation, title, now, now)
        await conversations.put(connection, made)
    elif row is None or row.deleted_at is not None:
        raise conversations.unknown(turn.conversation)


async def _put_question(connection: AsyncConnection, turn: Turn) -> None:
    known = await _row(connection, turn.conversation, turn.question)
    content = storable(turn.content)
    if known is not None:
        if (known.role, known.content, known.parent) != ("user", content, turn.parent):
            raise conversations.conflict(
                f"message id {turn.question} belongs to another message",
                "send a new question id; a stored message never changes",
            )
        return
    if turn.parent is not None and not await _row(connection, turn.conversation, turn.parent):
        raise conversations.message_unknown(turn.parent)
    await _check_room(connection, turn.conversation)
    key = await _insert(connection, turn, id=turn.question, parent=turn.parent, content=content)
    await search.put(connection, key, content)


async def _put_answer(connection: AsyncConnection, turn: Turn) -> int:
    """A new row, or the row of an earlier attempt at the same answer, which is taken over."""
    known = await _row(connection, turn.conversation, turn.answer)
    if known is None:
        return await _insert(
            connection, turn, id=turn.answer, parent=turn.question, role="assistant"
        )
    if (known.role, known.parent, known.state == "done") != ("assistant", turn.question, False):
        raise conversations.conflict(
            f"message id {turn.answer} belongs to another message", "send a new answer id"
        )
    fresh: dict[str, Any] = {"content": "", "state": "partial", "end": {}, "notices": []}
    this = MessageRow.key == known.key
    statement = update(MessageRow).where(this).values(request_id=turn.request_id, **fresh)
    await connection.execute(statement)
    return int(known.key)


async def _row(connection: AsyncConnection, conversation_id: str, message_id: str) -> Any:
    columns = (MessageRow.key, MessageRow.role, MessageRow.content, MessageRow.parent)
    is_it = (MessageRow.conversation_id == conversation_id, MessageRow.id == message_id)
    return (await connection.execute(select(*columns, MessageRow.state).where(*is_it))).first()


async def _insert(
    connection: AsyncConnection,
    turn: Turn,
    *,
    id: str,  # noqa: A002  the column's name
    parent: str | None,
    role: str = "user",
    content: str = "",
) -> int:
    values: dict[str, Any] = {
        "conversation_id": turn.conversation,
        "id": id,
        "parent": parent,
        "role": role,
        "content": content,
        "created_at": now_ms(),
        "state": "done" if role == "user" else "partial",
        "end": {},
        "notices": [],
        "request_id": turn.request_id,
    }
    result = await connection.execute(insert(MessageRow).values(values))
    assert result.inserted_primary_key is not None
    return int(result.inserted_primary_key[0])


async def _check_room(connection: AsyncConnection, conversation_id: str) -> None:
    count = select(func.count()).where(MessageRow.conversation_id == conversation_id)
    n_messages = (await connection.execute(count)).scalar_one()
    if n_messages >= MAX_MESSAGES:
        raise QwellError(
            "conversation-too-long",
            found=f"a conversation of {n_messages} messages",
            expected=f"fewer than {MAX_MESSAGES}",
            fix="begin a new conversation",
        )
