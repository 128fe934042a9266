"""Answers that grow: begun, stored bit by bit, ended once, and what a crash leaves of them."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from qwell.errors import QwellError
from qwell.store import journal as journal_module
from qwell.store.records import Message, Turn
from qwell.store.store import Store

pytestmark = pytest.mark.anyio


def turn(**values: Any) -> Turn:
    first = {
        "conversation": "c",
        "parent": None,
        "question": "q1",
        "content": "What is a cache?\nBriefly.",
        "answer": "a1",
        "request_id": "r1",
    }
    return Turn(**(first | values))


NEXT = turn(parent="a1", question="q2", answer="a2", request_id="r2")


class Refusing:
    """A disk that is full, told how often somebody tried."""

    def __init__(self) -> None:
        self.n = 0

    async def __call__(self, *_: Any) -> bool:
        self.n += 1
        raise QwellError("disk-full", found="the disk is full", expected="room", fix="make room")


async def messages(store: Store) -> list[Message]:
    return (await store.messages.page("c")).messages


async def until_stored(store: Store, content: str) -> Message:
    """The answer as soon as that much of it is stored."""
    async with asyncio.timeout(10):
        while True:
            answer = (await messages(store))[-1]
            if answer.content == content:
                return answer
            await asyncio.sleep(0.01)  # the store can only be asked


async def test_a_first_question_makes_the_conversation_and_names_it(store: Store) -> None:
    await store.journal.begin(turn())
    conversation = await store.conversations.get("c")
    question, answer = await messages(store)
    assert conversation.title == "What is a cache?"
    assert conversation.current == "a1"
    assert (question.role, question.content, question.state) == ("user", turn().content, "done")
    assert (answer.role, answer.parent, answer.state) == ("assistant", "q1", "partial")


async def test_text_is_stored_while_the_answer_grows(store: Store) -> None:
    growing = await store.journal.begin(turn())
    growing.add("one ")
    growing.add("two")
    answer = await until_stored(store, "one two")
    assert answer.state == "partial"
    growing.add(" three")
    await until_stored(store, "one two three")


async def test_the_end_stores_everything_at_once(store: Store) -> None:
    growing = await store.journal.begin(turn())
    growing.add("all")
    growing.note({"code": "context-overflow"})
    await growing.end("done", {"type": "done", "reason": "stop"})
    answer = (await messages(store))[-1]
    assert (answer.content, answer.state) == ("all", "done")
    assert answer.end["reason"] == "stop"
    assert answer.notices == ({"code": "context-overflow"},)


async def test_a_late_flush_does_not_undo_the_end(store: Store) -> None:
    growing = await store.journal.begin(turn())
    growing.add("all")  # wakes the flusher
    await growing.end("done", {})
    await store.journal.close()
    assert (await messages(store))[-1].state == "done"


async def test_an_end_that_was_refused_is_stored_with_the_next_one(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk, for example; it is said once, however often it is tried."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(store.journal, "_every_s", 0.001)
    first, second = await store.journal.begin(turn()), await store.journal.begin(NEXT)
    with monkeypatch.context() as full:
        full.setattr(journal_module, "_write", refused := Refusing())
        while refused.n < 5:
            first.add("all of it ")
            await asyncio.sleep(0.001)
        with pytest.raises(QwellError, match="full"):
            await first.end("done", {"reason": "stop"})
        whole = first.values("done")["content"]
    second.add("other")
    await until_stored(store, "other")
    await second.end("done", {})
    await store.journal.close()
    answer = (await messages(store))[1]
    assert (answer.content, answer.state, answer.end) == (whole, "done", {"reason": "stop"})
    said = [record.getMessage() for record in caplog.records if record.name == "qwell.store"]
    assert said.count("answers could not be stored yet") == 1
    assert said.count("answers are stored again") == 1


async def test_an_abandoned_answer_is_interrupted(store: Store) -> None:
    growing = await store.journal.begin(turn())
    growing.add("half")
    growing.abandon()
    await store.journal.close()
    assert [(m.content, m.state) for m in await messages(store)][-1] == ("half", "interrupted")


async def test_what_a_crash_left_is_marked_and_found(store: Store) -> None:
    growing = await store.journal.begin(turn())
    growing.add("缓存命中")
    await until_stored(store, "缓存命中")
    assert await store.journal.settle_leftovers() == 1
    assert (await messages(store))[-1].state == "interrupted"
    assert [hit.message for hit in await store.conversations.find("命中", limit=5)] == ["a1"]
    assert await store.journal.settle_leftovers() == 0


async def test_asking_again_keeps_the_question_and_the_first_answer(store: Store) -> None:
    await (await store.journal.begin(turn())).end("done", {})
    await store.journal.begin(turn(answer="a2", request_id="r2"))
    assert [(m.id, m.parent) for m in await messages(store)] == [
        ("q1", None),
        ("a1", "q1"),
        ("a2", "q1"),
    ]
    assert (await store.conversations.get("c")).current == "a2"


async def test_an_edited_question_is_a_branch_beside_the_old_one(store: Store) -> None:
    await (await store.journal.begin(turn())).end("done", {})
    again = turn(question="q2", content="What is a stack?", answer="a2", request_id="r2")
    await store.journal.begin(again)
    branch = await store.messages.branch("c", "a2")
    assert [m.content for m in branch] == ["What is a stack?", ""]
    assert [m.id for m in await store.messages.branch("c", "a1")] == ["q1", "a1"]


async def test_a_repeated_request_takes_its_answer_over(store: Store) -> None:
    """The first transport broke before its first event; the second asks the same."""
    first = await store.journal.begin(turn())
    second = await store.journal.begin(turn(request_id="r2"))
    second.add("second")
    await second.end("done", {})
    first.add("first")
    await first.end("done", {"reason": "cancelled"})
    assert [(m.id, m.content) for m in await messages(store)] == [
        ("q1", turn().content),
        ("a1", "second"),
    ]


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"conversation": "other", "parent": "a1"}, "conversation-unknown"),
        ({"question": "q2", "answer": "a2", "parent": "nowhere"}, "message-unknown"),
        ({"content": "other words"}, "conversation-conflict"),
        ({"answer": "q1"}, "conversation-conflict"),
        ({"question": "q2", "content": "new", "parent": "a1"}, "conversation-conflict"),
    ],
)
async def test_what_does_not_fit_the_tree_is_refused_and_changes_nothing(
    store: Store, values: dict[str, Any], fault: str
) -> None:
    await (await store.journal.begin(turn())).end("done", {})
    with pytest.raises(QwellError) as refused:
        await store.journal.begin(turn(**values))
    assert refused.value.fault == fault
    assert [m.id for m in await messages(store)] == ["q1", "a1"]


async def test_a_deleted_conversation_is_not_continued(store: Store) -> None:
    await store.journal.begin(turn())
    await store.conversations.delete("c")
    with pytest.raises(QwellError, match="conversation-unknown"):
        await store.journal.begin(turn(question="q2", answer="a2", parent="a1"))


async def test_a_conversation_has_a_last_message(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "MAX_MESSAGES", 2)
    await store.journal.begin(turn())
    with pytest.raises(QwellError, match="conversation-too-long"):
        await store.journal.begin(turn(question="q2", answer="a2", parent="a1"))


async def test_many_answers_grow_at_once(store: Store) -> None:
    growing = [
        await store.journal.begin(turn(conversation=f"c{n}", request_id=f"r{n}")) for n in range(20)
    ]
    for n, answer in enumerate(growing):
        answer.add(f"text {n}")
    await asyncio.gather(*(answer.end("done", {}) for answer in growing))
    for n in range(20):
        assert (await store.messages.page(f"c{n}")).messages[-1].content == f"text {n}"


async def test_nul_does_not_break_the_database(store: Store) -> None:
    growing = await store.journal.begin(turn(content="a\0b"))
    growing.add("c\0d")
    await growing.end("done", {})
    assert [m.content for m in await messages(store)] == ["a\ufffdb", "c\ufffdd"]
