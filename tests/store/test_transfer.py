"""Whole trees out of the store and into it; twice is as good as once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qwell.store import transfer as transfer_module
from qwell.store.records import Conversation, Message
from qwell.store.store import Store
from qwell.store.transfer import Tree

pytestmark = pytest.mark.anyio

CONVERSATION = Conversation("c", "标题", 1, 9, "a1", {"system": "s"})
QUESTION = Message("q1", None, "user", "hi", 1)
ANSWER = Message(
    "a1", "q1", "assistant", "hello", 2, "done", {"reason": "stop"}, ({"code": "x"},), "r"
)
TREE = Tree(CONVERSATION, [QUESTION, ANSWER])


async def test_what_goes_in_comes_out(store: Store) -> None:
    assert await store.transfer.bring(TREE, revive=False) == "added"
    assert await store.transfer.take("c") == TREE
    assert [tree async for tree in store.transfer.take_all()] == [TREE]


async def test_the_second_time_changes_nothing(store: Store) -> None:
    await store.transfer.bring(TREE, revive=False)
    changed = Tree(replace(CONVERSATION, title="other"), [replace(QUESTION, content="other")])
    assert await store.transfer.bring(changed, revive=False) == "unchanged"
    assert await store.transfer.take("c") == TREE


async def test_missing_messages_are_added(store: Store) -> None:
    """A browser went on while nothing could be stored."""
    await store.transfer.bring(TREE, revive=False)
    more = Message("q2", "a1", "user", "and then?", 3)
    later = Tree(replace(CONVERSATION, updated_at=10, current="q2"), [QUESTION, ANSWER, more])
    assert await store.transfer.bring(later, revive=False) == "merged"
    taken = await store.transfer.take("c")
    assert taken.messages == [QUESTION, ANSWER, more]
    assert (taken.conversation.updated_at, taken.conversation.current) == (10, "q2")


async def test_an_older_copy_does_not_turn_the_page_back(store: Store) -> None:
    await store.transfer.bring(TREE, revive=False)
    more = Message("b1", "q1", "assistant", "hey", 3)
    older = Tree(replace(CONVERSATION, updated_at=3, current="b1"), [QUESTION, more])
    assert await store.transfer.bring(older, revive=False) == "merged"
    assert (await store.conversations.get("c")).current == "a1"


async def test_the_deleted_comes_back_only_when_wanted(store: Store) -> None:
    await store.transfer.bring(TREE, revive=False)
    await store.conversations.delete("c")
    assert await store.transfer.bring(TREE, revive=False) == "deleted"
    assert await store.transfer.bring(TREE, revive=True) == "merged"
    assert await store.transfer.take("c") == TREE


async def test_an_unfinished_answer_comes_in_as_interrupted(store: Store) -> None:
    partial = replace(ANSWER, state="partial", end={})
    await store.transfer.bring(Tree(CONVERSATION, [QUESTION, partial]), revive=False)
    assert (await store.transfer.take("c")).messages[1].state == "interrupted"


@pytest.mark.parametrize(
    "messages",
    [
        [ANSWER, QUESTION],  # before its parent
        [replace(QUESTION, parent="q1")],  # its own parent
        [QUESTION, QUESTION],
        [QUESTION] + [replace(ANSWER, id=f"a{n}") for n in range(5)],
    ],
)
async def test_no_tree_no_entry(
    store: Store, messages: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer_module, "MAX_MESSAGES", 4)
    assert await store.transfer.bring(Tree(CONVERSATION, messages), revive=False) == "refused"
    assert await store.conversations.newest(limit=5) == []
