"""Conversations on the wire: what may be sent, with its bounds, and what is answered.

The same shapes serve the API and exported files.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from qwell.core import Failed
from qwell.server import caller
from qwell.server.problem import title as fault_title
from qwell.server.schemas import ConversationSettings, Id, Strict, Text
from qwell.store.records import MAX_MESSAGES, MAX_TITLE, Conversation, Message, now_ms
from qwell.store.records import title_of as title_of_question
from qwell.translate import translated

FORMAT = "qwell-conversations"
VERSION = 1
MAX_IMPORTED = 1000  # conversations in one request

Title = Annotated[str, Field(min_length=1, max_length=MAX_TITLE)]
Millis = Annotated[int, Field(ge=0, le=2**53)]
# what the program itself wrote: kept as it is, bounded by the size of the request
Facts = dict[str, Any]


class ConversationIn(Strict):
    """Body of POST /api/conversations."""

    id: Id | None = None
    title: Title = "New chat"
    settings: ConversationSettings = ConversationSettings()

    def new_id(self) -> str:
        return self.id or secrets.token_hex(12)


class ChangeIn(Strict):
    """Body of PATCH /api/conversations/{id}: what is absent stays as it is."""

    title: Title | None = None
    settings: ConversationSettings | None = None
    current: Id | None = None

    def to_values(self) -> dict[str, Any]:
        """Columns to set."""
        return self.model_dump(exclude_unset=True, exclude_none=True)


class MessageIn(Strict):
    id: Id
    parent: Id | None = None
    role: Literal["system", "user", "assistant"]
    content: Text
    created_at: Millis | None = None
    state: Literal["done", "partial", "failed", "interrupted"] = "done"
    end: Annotated[Facts, Field(default_factory=dict)]
    notices: Annotated[list[Facts], Field(max_length=100, default_factory=list)]
    request_id: Annotated[str, Field(max_length=80)] = ""

    def to_record(self) -> Message:
        return Message(
            id=self.id,
            parent=self.parent,
            role=self.role,
            content=self.content,
            created_at=now_ms() if self.created_at is None else self.created_at,
            state=self.state,
            end=self.end,
            notices=tuple(self.notices),
            request_id=self.request_id,
        )


class TreeIn(Strict):
    """A conversation of an exported file, its messages each after its parent."""

    id: Id
    title: Annotated[str, Field(max_length=MAX_TITLE)] = ""
    created_at: Millis | None = None
    updated_at: Millis | None = None
    current: Id | None = None
    settings: ConversationSettings = ConversationSettings()
    messages: Annotated[list[MessageIn], Field(max_length=MAX_MESSAGES, default_factory=list)]

    def to_record(self) -> Conversation:
        now = now_ms()
        leaf = self.messages[-1].id if self.messages else None
        known = {message.id for message in self.messages}
        return Conversation(
            id=self.id,
            title=self.title or self._title(),
            created_at=now if self.created_at is None else self.created_at,
            updated_at=now if self.updated_at is None else self.updated_at,
            current=self.current if self.current in known else leaf,
            settings=self.settings.model_dump(exclude_unset=True),
        )

    def _title(self) -> str:
        first = next((it.content for it in self.messages if it.role == "user"), "")
        return title_of_question(first) or "—"


class FileIn(Strict):
    """Body of POST /api/conversations/import, and the shape of exported files."""

    format: Literal["qwell-conversations"]
    version: Literal[1]
    conversations: Annotated[list[TreeIn], Field(max_length=MAX_IMPORTED)]


def summary(it: Conversation) -> dict[str, Any]:
    return {
        "id": it.id,
        "title": it.title,
        "created_at": it.created_at,
        "updated_at": it.updated_at,
        "current": it.current,
        "settings": dict(it.settings),
    }


def message_body(it: Message) -> dict[str, Any]:
    return {
        "id": it.id,
        "parent": it.parent,
        "role": it.role,
        "content": it.content,
        "created_at": it.created_at,
        "state": it.state,
        "end": _end(it.end),
        "notices": [dict(notice) for notice in it.notices],
        "request_id": it.request_id,
    }


def _end(stored: Mapping[str, Any]) -> dict[str, Any]:
    """How an answer ended, in the language of whoever reads it now. It may have been imported."""
    body = dict(stored)
    if body.get("type") == Failed.type and (language := caller.language.get()) != "en":
        for name in ("cause", "fix"):
            if isinstance(text := body.get(name), str):
                body[name] = translated(text, language)
        if isinstance(code := body.get("code"), str):
            body["title"] = fault_title(code, language)
    return body
