"""Messages as a tree: pages of all of them, and the branch above one."""

from __future__ import annotations

import pytest

from qwell.errors import QwellError
from qwell.store import messages as messages_module
from qwell.store.records import Conversation, Message
from qwell.store.store import Store
from qwell.store.transfer import Tree

pytestmark = pytest.mark.anyio

TREE = {"q1": None, "a1": "q1", "q2": "a1", "a2": "q2", "a1b": "q1", "q3": None}


@pytest.fixture
async def tree(store: Store) -> Store:
    messages = [
        Message(name, parent, "user", f"text of {name}", 1) for name, parent in TREE.items()
    ]
    await store.transfer.bring(Tree(Conversation("c", "t", 1, 1), messages), revive=False)
    return store


async def pages(store: Store, limit: int) -> list[list[str]]:
    found: list[list[str]] = []
    after: int | None = 0
    while after is not None:
        page = await store.messages.page("c", after=after, limit=limit)
        found.append([message.id for message in page.messages])
        after = page.next
    return found


async def test_pages_give_every_message_once_and_in_order(tree: Store) -> None:
    assert await pages(tree, 4) == [["q1", "a1", "q2", "a2"], ["a1b", "q3"]]
    assert await pages(tree, 6) == [list(TREE)]


async def test_pages_are_bounded_in_text(tree: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages_module, "PAGE_CHARS", 20)  # two of the shorter texts
    assert await pages(tree, 100) == [["q1", "a1"], ["q2", "a2"], ["a1b"], ["q3"]]
    monkeypatch.setattr(messages_module, "PAGE_CHARS", 1)
    assert await pages(tree, 100) == [[name] for name in TREE]


@pytest.mark.parametrize(
    ("leaf", "branch"),
    [
        ("a2", ["q1", "a1", "q2", "a2"]),
        ("a1b", ["q1", "a1b"]),
        ("q3", ["q3"]),
        (None, []),
    ],
)
async def test_a_branch_is_the_way_down_to_its_leaf(
    tree: Store, leaf: str | None, branch: list[str]
) -> None:
    assert [message.id for message in await tree.messages.branch("c", leaf)] == branch


async def test_a_leaf_of_another_conversation_is_refused(tree: Store) -> None:
    await tree.conversations.create("other", "t", {})
    with pytest.raises(QwellError, match="message-unknown"):
        await tree.messages.branch("other", "a2")
