"""A model's folder that is filled after the server has given up on it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from qwell.config import Settings
from qwell.doctor.system import System
from qwell.lab.rig.models import write_folder
from qwell.server.app import create_app
from qwell.server.doctor_room import DoctorRoom
from qwell.server.second_try import EVERY_S, SecondTry, contents
from qwell.worker.supervisor import Supervisor

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    return made


@pytest.fixture
def room(make_app: Callable[..., FastAPI], folder: Path, tmp_path: Path, worker: Any) -> DoctorRoom:
    worker.status.phase = "failed"
    app = make_app(model=str(folder), data_dir=str(tmp_path), cache_dir=str(tmp_path / "cache"))
    made: DoctorRoom = app.state.doctor
    return made


class Restarts:
    """How often the worker was started anew."""

    def __init__(self) -> None:
        self.n = 0

    async def __call__(self) -> None:
        self.n += 1


async def test_it_loads_once_the_files_are_there_and_rest(room: DoctorRoom, folder: Path) -> None:
    restarts = Restarts()
    second = SecondTry(room.view, restarts)
    for _ in range(3):
        await second.tick()
    assert restarts.n == 0  # nothing has changed
    weights = folder / "model.safetensors"
    for size in (1, 2):
        weights.write_bytes(b"x" * size)  # copying takes its time
        await second.tick()
        assert restarts.n == 0
    await second.tick()
    assert restarts.n == 1
    for _ in range(3):
        await second.tick()  # it failed again, with these files
    assert restarts.n == 1


async def test_another_file_of_the_same_size_counts(room: DoctorRoom, folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(b"damaged")
    restarts = Restarts()
    second = SecondTry(room.view, restarts)
    await second.tick()
    weights.write_bytes(b"correct")
    os.utime(weights, (1e9, 1e9))
    for _ in range(2):
        await second.tick()
    assert restarts.n == 1


async def test_a_server_that_answers_is_left_alone(
    room: DoctorRoom, folder: Path, worker: Any
) -> None:
    worker.status.phase = "ready"
    restarts = Restarts()
    second = SecondTry(room.view, restarts)
    for n in range(4):
        (folder / f"{n}.gguf").write_bytes(b"x")
        await second.tick()
    assert restarts.n == 0


def test_nothing_to_look_at_is_no_accident(room: DoctorRoom, folder: Path) -> None:
    (folder / "gone.gguf").symlink_to(folder / "nowhere")
    assert contents(System(room.view.settings)) == frozenset()
    (folder / "gone.gguf").unlink()
    folder.rmdir()
    assert contents(System(room.view.settings)) == frozenset()


async def test_a_running_server_takes_up_a_folder_that_is_filled(
    folder: Path, tmp_path: Path, served: Any, bundle: Path
) -> None:
    """With a real worker: it had refused an empty folder, and serves what comes."""
    cache = str(tmp_path / "cache")
    settings = Settings(model=str(folder), data_dir=str(tmp_path), cache_dir=cache)
    supervisor = Supervisor(settings)
    async with served(create_app(settings, supervisor, bundle=bundle, watched=True)):
        await until("failed", supervisor)
        assert supervisor.status.error is not None
        assert supervisor.status.error.fault == "model-dir-not-mounted"
        await asyncio.sleep(2 * EVERY_S)  # it has looked at the empty folder
        write_folder(folder)
        await until("ready", supervisor)


async def until(phase: str, supervisor: Supervisor) -> None:
    async with asyncio.timeout(100):
        while supervisor.status.phase != phase:
            await supervisor.changed()
