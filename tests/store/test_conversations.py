"""Conversations as a whole: listed, found, changed, deleted and brought back."""

from __future__ import annotations

import pytest

from qwell.errors import QwellError
from qwell.store.records import Conversation, Message, Turn, now_ms
from qwell.store.store import Store
from qwell.store.transfer import Tree

pytestmark = pytest.mark.anyio


async def keep(store: Store, name: str, *contents: str, at: int = 1) -> None:
    """A conversation with one message below the other."""
    messages = [
        Message(f"m{n}", f"m{n - 1}" if n else None, "user", content, created_at=at)
        for n, content in enumerate(contents)
    ]
    conversation = Conversation(name, f"about {name}", at, at)
    assert await store.transfer.bring(Tree(conversation, messages), revive=False) == "added"


async def found(store: Store, query: str) -> list[tuple[str, str | None]]:
    hits = await store.conversations.find(query, limit=10)
    return [(hit.conversation.id, hit.message) for hit in hits]


async def test_pages_follow_one_another_by_time_without_gap_or_repetition(store: Store) -> None:
    for n in range(7):
        await keep(store, f"c{n}", at=n // 2)  # pairs of the same time
    seen: list[str] = []
    before: tuple[int, str] | None = None
    while page := await store.conversations.newest(limit=2, before=before):
        seen += [it.id for it in page]
        before = (page[-1].updated_at, page[-1].id)
    assert seen == ["c6", "c5", "c4", "c3", "c2", "c1", "c0"]


async def test_search_in_both_languages(store: Store) -> None:
    await keep(store, "zh", "什么是缓存命中率?", "就是命中的比例", at=3)
    await keep(store, "en", "Explain cache-misses, please", at=2)
    await keep(store, "mix", "用Python写缓存", at=1)
    assert await found(store, "缓存") == [("zh", "m0"), ("mix", "m0")]
    assert await found(store, "命") == [("zh", "m1")]  # one character; the newest message
    assert await found(store, "CACH miss") == [("en", "m0")]
    assert await found(store, "python 缓存") == [("mix", "m0")]
    assert await found(store, "about zh") == [("zh", None)]  # the title
    assert await found(store, "nowhere") == []


@pytest.mark.parametrize(
    "query", ["'", '"', "a' OR 1=1 --", "%", "_", "NOT", "缓*", ":*", "\\", "?"]
)
async def test_no_query_means_more_than_its_words(store: Store, query: str) -> None:
    await keep(store, "c", "hello world")
    assert await found(store, query) == []


async def test_search_shows_the_place(store: Store) -> None:
    await keep(store, "c", "x " * 100 + "needle" + " y" * 100)
    (hit,) = await store.conversations.find("needle", limit=10)
    assert "needle" in hit.excerpt
    assert len(hit.excerpt) < 110


async def test_a_new_one_may_bring_its_id_but_not_one_that_is_taken(store: Store) -> None:
    made = await store.conversations.create("c", "title", {"system": "be brief"})
    assert await store.conversations.get("c") == made
    with pytest.raises(QwellError, match="conversation-conflict"):
        await store.conversations.create("c", "again", {})


async def test_changing(store: Store) -> None:
    await keep(store, "c", "one", "two")
    values = {"title": "新名字", "current": "m1", "settings": {"system": "s"}}
    changed = await store.conversations.change("c", values)
    assert (changed.title, changed.current, changed.settings) == ("新名字", "m1", {"system": "s"})
    with pytest.raises(QwellError, match="message-unknown"):
        await store.conversations.change("c", {"current": "nowhere"})
    with pytest.raises(QwellError, match="conversation-unknown"):
        await store.conversations.change("other", {"title": "x"})


async def test_deleting_can_be_undone(store: Store) -> None:
    await keep(store, "c", "hello")
    await store.conversations.delete("c")
    assert await store.conversations.newest(limit=5) == []
    assert await found(store, "hello") == []
    with pytest.raises(QwellError, match="conversation-unknown"):
        await store.messages.page("c")
    await store.conversations.restore("c")
    assert await found(store, "hello") == [("c", "m0")]


async def test_long_deleted_text_goes_and_does_not_come_back_by_a_copy(store: Store) -> None:
    await keep(store, "c", "secret")
    taken = await store.transfer.take("c")
    await store.conversations.delete("c")
    assert await store.conversations.purge(deleted_before=now_ms() - 1000) == 0
    assert await store.conversations.purge(deleted_before=now_ms() + 1000) == 1
    assert await store.conversations.purge(deleted_before=now_ms() + 1000) == 0
    assert await store.transfer.bring(taken, revive=False) == "deleted"
    assert (await store.conversations.restore("c")).title == ""
    assert (await store.messages.page("c")).messages == []
    assert await found(store, "secret") == []


async def test_an_unknown_id_is_named(store: Store) -> None:
    for act in (store.conversations.get, store.conversations.delete, store.conversations.restore):
        with pytest.raises(QwellError, match="'nobody'"):
            await act("nobody")


async def test_the_newest_conversation_is_the_one_asked_in_last(store: Store) -> None:
    await keep(store, "old", "hi", at=1)
    await keep(store, "new", "hi", at=2)
    await store.journal.begin(Turn("old", "m0", "q", "again", "a", "r"))
    assert [it.id for it in await store.conversations.newest(limit=5)] == ["old", "new"]
