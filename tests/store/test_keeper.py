"""The store opens beside everything else, says why it cannot, and opens again when it can."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import URL

from qwell.config import Settings
from qwell.errors import QwellError
from qwell.store import StoreKeeper
from qwell.store import keeper as keeper_module
from qwell.store.records import Turn

pytestmark = pytest.mark.anyio


async def test_it_opens_and_keeps_what_it_is_given(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path / "new" / "folder"))
    for n in range(2):
        keeper = StoreKeeper(settings)
        keeper.start()
        store = await keeper.get(30)
        assert await keeper.get() is store
        assert len(await store.conversations.newest(limit=5)) == n
        await store.journal.begin(Turn(f"c{n}", None, "q", "hello", "a", "r"))
        await keeper.close()
    assert (tmp_path / "new" / "folder" / "qwell.db").is_file()


async def test_a_database_of_ones_own_choice(url: URL, tmp_path: Path) -> None:
    address = url.render_as_string(hide_password=False).replace("+psycopg", "")
    keeper = StoreKeeper(Settings(data_dir=str(tmp_path / "unused"), database_url=address))
    store = await keeper.get(30)
    await store.journal.begin(Turn("c", None, "q", "hello", "a", "r"))
    await keeper.close()
    assert store.database.url == url
    assert not (tmp_path / "unused").exists()


async def test_a_start_settles_what_a_crash_left(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path))
    for state in ("partial", "interrupted"):
        keeper = StoreKeeper(settings)
        store = await keeper.get(30)
        if state == "partial":
            await store.journal.begin(Turn("c", None, "q", "hello", "a", "r"))
        assert (await store.messages.page("c")).messages[-1].state == state
        await keeper.close()


async def test_a_database_that_is_lost_and_comes_back_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = StoreKeeper(Settings(data_dir=str(tmp_path)))
    await keeper.look()  # nothing is open yet, so that nothing can be lost
    store = await keeper.get(30)
    lost = QwellError("database-unreachable", found="gone", expected="there", fix="start it")

    async def refuse() -> None:
        raise lost

    with monkeypatch.context() as patch:
        patch.setattr(store.database, "ping", refuse)
        await keeper.look()
        assert keeper.error is lost
    await keeper.look()
    assert keeper.error is None
    await keeper.close()


async def test_a_refusal_is_believed_for_a_while_and_then_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "qwell.db"
    file.write_bytes(b"no database" * 1000)
    patient = StoreKeeper(Settings(data_dir=str(tmp_path)), retry_s=3600)
    eager = StoreKeeper(Settings(data_dir=str(tmp_path)), retry_s=0)
    for keeper in (patient, eager):
        with pytest.raises(QwellError, match="database-corrupt"):
            await keeper.get(30)
    file.unlink()
    with pytest.raises(QwellError, match="database-corrupt"):
        await patient.get(30)
    assert await (await eager.get(30)).conversations.newest(limit=1) == []
    await patient.close()
    await eager.close()


async def test_nobody_waits_long_for_a_slow_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = asyncio.Event()
    prepared = StoreKeeper._prepared

    async def slow(self: StoreKeeper) -> object:
        await may_go_on.wait()
        return await prepared(self)

    monkeypatch.setattr(keeper_module.StoreKeeper, "_prepared", slow)
    keeper = StoreKeeper(Settings(data_dir=str(tmp_path)))
    with pytest.raises(QwellError, match="still being opened"):
        await keeper.get(0.01)
    may_go_on.set()
    assert await keeper.get(30)
    await keeper.close()


async def test_closing_what_was_never_opened() -> None:
    await StoreKeeper(Settings()).close()


def test_the_package_loads_no_database_library() -> None:
    code = "import qwell.store, sys; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
