"""What is done beforehand waits for the model, but neither for ever nor for who asks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.server.conftest import FakeWorker

from qwell.config import Settings
from qwell.server import offering, preparation
from qwell.store import StoreKeeper

pytestmark = pytest.mark.anyio


class WatchedKeeper(StoreKeeper):
    """Notes that it is told to open, and opens nothing."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Settings(data_dir=str(folder)))
        self.told = asyncio.Event()

    def start(self) -> None:
        self.told.set()


@pytest.fixture
def keeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WatchedKeeper:
    monkeypatch.setattr(preparation, "FIRST_ANSWER_S", 0.0)
    monkeypatch.setattr(offering, "prepare", lambda: None)
    return WatchedKeeper(tmp_path)


async def test_a_model_that_is_loading_has_the_processors(
    worker: FakeWorker, keeper: WatchedKeeper
) -> None:
    worker.status.phase = "loading"
    preparing = asyncio.create_task(preparation.prepare(worker, keeper))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(keeper.told.wait(), 0.3)
    worker.status.phase = "ready"
    await asyncio.wait_for(keeper.told.wait(), 10)
    await preparing


async def test_a_model_that_is_fetched_is_not_waited_for(
    worker: FakeWorker, keeper: WatchedKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "LONGEST_LOADING_S", 0.1)
    worker.status.phase = "loading"
    await asyncio.wait_for(preparation.prepare(worker, keeper), 10)
    assert keeper.told.is_set()


async def test_the_rules_are_read_before_the_first_message(
    worker: FakeWorker, keeper: WatchedKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bool] = []
    monkeypatch.setattr(offering, "prepare", lambda: read.append(True))
    await preparation.prepare(worker, keeper)
    assert read == [True]
