"""The nouns of the store: a conversation, its messages, a turn that begins.

Frozen, standard library only. Times are milliseconds since 1970. Knows no database.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from qwell.core import Role

# partial: an answer that is being written; interrupted: one that was, when the server ended
State = Literal["done", "partial", "failed", "interrupted"]

MAX_TITLE = 200
MAX_MESSAGES = 10_000  # of one conversation, all branches together
_TITLE_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Conversation:
    """A tree of messages. current is the message whose branch is shown, None while empty."""

    id: str
    title: str
    created_at: int
    updated_at: int
    current: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation; its id is unique there.

    parent  what it answers or follows; None begins a branch of its own
    end     the terminal event of an answer, empty for everything else
    """

    id: str
    parent: str | None
    role: Role
    content: str
    created_at: int
    state: State = "done"
    end: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[Mapping[str, Any], ...] = ()
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and the answer to come.

    A question id that is known already asks again: the answer becomes one more branch below it.
    """

    conversation: str
    parent: str | None  # of the question
    question: str
    content: str
    answer: str
    request_id: str


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def title_of(question: str) -> str:
    """The first line of a question, cut between characters."""
    line = question.strip().partition("\n")[0]
    return line if len(line) <= _TITLE_LENGTH else f"{line[:_TITLE_LENGTH]}…"


def storable(text: str) -> str:
    """Without NUL, which PostgreSQL cannot keep and nobody can read."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
