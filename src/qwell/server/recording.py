"""Answers that belong to a conversation: the store gives the history and keeps what comes.

With a broken store the answer comes all the same, and a notice says that it is not saved. Knows
no database and no transport.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qwell.core import (
    Delta,
    Done,
    Event,
    Failed,
    Message,
    Notice,
    Request,
    event_from_dict,
    event_to_dict,
)
from qwell.errors import QwellError
from qwell.server.offering import Offering
from qwell.server.schemas import ChatIn, ConversationSettings
from qwell.server.streams import Found, Recorder, Stream, Streams
from qwell.store import StoreKeeper
from qwell.store.records import Turn

if TYPE_CHECKING:
    from qwell.store.journal import GrowingAnswer
    from qwell.store.store import Store

MAX_HISTORY_CHARS = 1_000_000  # far beyond every context; the context budget decides what fits
# refusals that are the caller's to solve; all other faults are the store's own
_CALLERS = {
    "conversation-unknown",
    "message-unknown",
    "conversation-conflict",
    "conversation-too-long",
}

_UNKNOWN = {"conversation-unknown", "message-unknown"}


async def open_answer(
    streams: Streams,
    keeper: StoreKeeper,
    body: ChatIn,
    *,
    request_id: str,
    grace_s: float,
    offers: bool = False,
) -> Stream:
    """Start an answer, stored where it belongs to a conversation.

    offers: a question that is plainly a complaint, or a log, gets an offer of a diagnosis.
    Raises QwellError as Streams.open does, and for a conversation or message that is unknown,
    whose ids are taken or that is full.
    """
    request = body.to_core(request_id)

    def offering(inner: Recorder | None) -> Recorder | None:
        return Offering(body.messages[-1].content, request_id, inner) if offers else inner

    if body.conversation is None:
        return streams.open(request, grace_s=grace_s, recorder=offering(None), is_copied=True)
    turn = _turn(body, request_id)
    recorder, request = await _begin(keeper, body, turn, request)
    try:
        recorded = offering(_Continued(_begun(body), recorder))
        return streams.open(
            request, grace_s=grace_s, names=_names(turn), recorder=recorded, is_copied=True
        )
    except QwellError as refused:
        await recorder.refuse(refused)
        raise


async def _begin(
    keeper: StoreKeeper, body: ChatIn, turn: Turn, request: Request
) -> tuple[Recording | Unsaved, Request]:
    """What keeps the answer, and the request with its history: the client's if nothing is kept."""
    name = turn.conversation
    try:
        store = await keeper.get()
        turn, request = await _with_history(store, body, turn, request)
        recorder = Recording(await store.journal.begin(turn))
    except QwellError as error:
        if error.fault not in _CALLERS:
            keeper.miss(name, error)
            return Unsaved(error), request
        missed = keeper.missed.get(name)
        if missed is None or error.fault not in _UNKNOWN:
            raise
        return Unsaved(missed), request
    keeper.missed.pop(name, None)
    return recorder, request


async def find_answer(
    streams: Streams, keeper: StoreKeeper, stream_id: str, *, grace_s: float
) -> Stream | None:
    """The answer of this name, also one that another server began and stored."""
    return await streams.find(stream_id, grace_s, lambda found: TakenOver(keeper, found))


class TakenOver:
    """Stores an answer from when this server goes on with it; before, the other one does."""

    def __init__(self, keeper: StoreKeeper, found: Found) -> None:
        self._keeper = keeper
        self._found = found
        self._first: Mapping[str, Any] = json.loads(found.events[0]) if found.events else {}
        events = (event_from_dict(json.loads(text)) for text in found.events)
        self._said = "".join(event.text for event in events if isinstance(event, Delta))
        self._verdict: Failed | None = None
        self._recorder: Recorder | None = None

    async def watch(self, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
        async with aclosing(events):
            async for event in events:
                if self._found.is_ours():
                    break
                self._said += event.text if isinstance(event, Delta) else ""
                yield event
            else:
                return
            self._recorder = await self._begin()
            rest = _after(self._said, _chained(event, events))
            if self._recorder is not None:
                rest = self._recorder.watch(rest)
            async with aclosing(rest):
                async for event in rest:
                    if isinstance(event, Delta) and event.text is self._said:
                        continue  # the reader has it
                    yield event

    async def _begin(self) -> Recorder | None:
        if "conversation" not in self._first:
            return None
        names = (self._first["conversation"], self._first["answer"])
        try:
            store = await self._keeper.get()
            recorder = Recording(await store.journal.go_on(*names))
        except QwellError as error:
            return Unsaved(error)
        if self._verdict is not None:
            recorder.overrule(self._verdict)
        return recorder

    def overrule(self, end: Failed) -> None:
        self._verdict = end
        if self._recorder is not None:
            self._recorder.overrule(end)


async def _chained(first: Event, rest: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
    yield first
    async for event in rest:
        yield event


class Recording:
    """Stores an answer while its events pass by."""

    def __init__(self, answer: GrowingAnswer) -> None:
        self._answer = answer
        self._verdict: Failed | None = None

    async def watch(self, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
        """The same events. The terminal one passes only when the answer is stored."""
        try:
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, Delta):
                        self._answer.add(event.text)
                    elif isinstance(event, Notice):
                        self._answer.note({"code": event.code, "detail": dict(event.detail)})
                    elif isinstance(event, Done | Failed) and (error := await self._end(event)):
                        yield unsaved(error)
                    yield event
        finally:
            self._answer.abandon()  # no effect once it has ended

    def overrule(self, end: Failed) -> None:
        self._verdict = end

    async def refuse(self, error: QwellError) -> None:
        """The answer may not begin after all: its question stays, with the reason below it."""
        await self._end(Failed(code=error.fault, cause=error.found, fix=error.fix))

    async def _end(self, event: Done | Failed) -> QwellError | None:
        end = self._verdict or event
        if isinstance(end, Failed):
            end = replace(end, request_id=self._answer.request_id)
        try:
            await self._answer.end(
                "failed" if isinstance(end, Failed) else "done", event_to_dict(end)
            )
        except QwellError as error:
            return error
        return None


@dataclass(frozen=True, slots=True)
class Unsaved:
    """Stands in for a recording that could not begin: says so, once, at the beginning."""

    error: QwellError

    async def watch(self, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
        yield unsaved(self.error)
        async with aclosing(events):
            async for event in events:
                yield event

    def overrule(self, end: Failed) -> None:
        """Nothing is kept, so nothing is corrected."""

    async def refuse(self, error: QwellError) -> None:
        """The same."""


@dataclass(frozen=True, slots=True)
class _Continued:
    """Puts the text that an answer goes on with before it, for whoever keeps or reads it."""

    begun: str
    recorder: Recording | Unsaved

    async def watch(self, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
        async with aclosing(self.recorder.watch(_after(self.begun, events))) as watched:
            async for event in watched:
                yield event

    def overrule(self, end: Failed) -> None:
        self.recorder.overrule(end)


async def _after(begun: str, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
    async with aclosing(events):
        if begun:
            yield Delta(begun)
        async for event in events:
            yield event


def _begun(body: ChatIn) -> str:
    return body.messages[-1].content if body.continue_last else ""


def unsaved(error: QwellError) -> Notice:
    """Says that an answer is not saved, and why; ``saved`` tells it from other notices."""
    facts = {"saved": False, "found": error.found, "expected": error.expected, "fix": error.fix}
    return Notice(error.fault, facts)


def _turn(body: ChatIn, request_id: str) -> Turn:
    assert body.conversation is not None
    return Turn(
        conversation=body.conversation,
        parent=body.parent,
        question=body.question or secrets.token_hex(12),
        content=body.newest[0].content,
        answer=body.answer or secrets.token_hex(12),
        request_id=request_id,
    )


def _names(turn: Turn) -> Mapping[str, str]:
    return {
        "conversation": turn.conversation,
        "question": turn.question,
        "answer": turn.answer,
    }


async def _with_history(
    store: Store, body: ChatIn, turn: Turn, request: Request
) -> tuple[Turn, Request]:
    """The turn with its parent, and the request with what is stored above it."""
    try:
        conversation = await store.conversations.get(turn.conversation)
    except QwellError as error:
        is_first = "parent" in body.model_fields_set and body.parent is None
        if error.fault == "conversation-unknown" and is_first:
            return turn, replace(request, messages=request.messages[-len(body.newest) :])
        raise
    if "parent" not in body.model_fields_set:
        turn = replace(turn, parent=conversation.current)
    branch = await store.messages.branch(turn.conversation, turn.parent)
    settings = ConversationSettings.model_validate(dict(conversation.settings))
    said = [Message(it.role, it.content) for it in branch if it.content]
    newest = [Message(it.role, it.content) for it in body.newest]
    messages = [*_system(settings, said), *_newest(said), *newest]
    if "sampling" not in body.model_fields_set:
        request = replace(request, sampling=settings.sampling.to_sampling())
    if "max_tokens" not in body.model_fields_set:
        request = replace(request, max_tokens=settings.max_tokens)
    return turn, replace(request, messages=tuple(messages))


def _system(settings: ConversationSettings, said: Iterable[Message]) -> list[Message]:
    """The conversation's own system message, unless the branch begins with one."""
    has_one = any(message.role == "system" for message in said)
    return [Message("system", settings.system)] if settings.system and not has_one else []


def _newest(said: list[Message]) -> list[Message]:
    """As many of the last messages as MAX_HISTORY_CHARS hold."""
    total = 0
    for n, message in enumerate(reversed(said)):
        total += len(message.content)
        if total > MAX_HISTORY_CHARS:
            return said[len(said) - n :]
    return said
