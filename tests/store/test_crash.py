"""kill -9 in the middle of an answer: what was stored a moment ago is there afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest
from sqlalchemy import URL, text

from qwell.store.journal import FLUSH_EVERY_S
from qwell.store.migrate import migrate
from qwell.store.store import Store

pytestmark = pytest.mark.anyio

# adds one word every 10 ms and says which, until somebody ends it
WRITER = """
import asyncio, sys
from sqlalchemy import make_url
from qwell.store.records import Turn
from qwell.store.store import Store

async def main():
    store = Store(make_url(sys.argv[1]))
    answer = await store.journal.begin(Turn("c", None, "q", "go on", "a", "r"))
    for n in range(10_000):
        answer.add(f"{n} ")
        print(n, flush=True)
        await asyncio.sleep(0.01)

asyncio.run(main())
"""
WORDS = 150


def kill_after(url: URL, n_words: int) -> None:
    command = [sys.executable, "-c", WRITER, url.render_as_string(hide_password=False)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) == n_words:
                break
        writer.kill()


async def test_a_killed_server_loses_at_most_the_last_moment(url: URL) -> None:
    migrate(url)
    kill_after(url, WORDS)
    store = Store(url)
    await store.tidy()
    answer = (await store.messages.page("c")).messages[-1]
    await store.close()
    assert answer.state == "interrupted"
    stored = [int(word) for word in answer.content.split()]
    assert stored == list(range(len(stored)))
    # twice the interval: the machine may be busy; a word takes at least its 10 ms
    assert len(stored) >= WORDS - 2 * FLUSH_EVERY_S / 0.01


async def test_a_file_whose_writer_was_killed_is_whole(sqlite_url: URL) -> None:
    migrate(sqlite_url)
    kill_after(sqlite_url, 1)
    store = Store(sqlite_url)
    async with store.database.reading() as connection:
        found = await connection.execute(text("PRAGMA integrity_check"))
        assert found.scalar_one() == "ok"
    await store.close()
