"""A supervisor with a real child on the scripted backend, impatient enough for tests."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from qwell.config import Settings
from qwell.core import Delta, Event, Message, Request
from qwell.worker.supervisor import Patience, Supervisor

IMPATIENT = Patience(tick_s=0.2, max_silent_ticks=50, max_step_ticks=10, first_backoff_s=0.05)
Start = Callable[..., AbstractAsyncContextManager[Supervisor]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def supervised() -> Start:
    @asynccontextmanager
    async def start(
        script: dict[str, object] | None = None,
        *,
        patience: Patience = IMPATIENT,
        **settings: object,
    ) -> AsyncIterator[Supervisor]:
        environ = {**os.environ, "QWELL_SCRIPT": json.dumps(script or {})}
        knobs = {"engine": "scripted", "parallel": 2, **settings}
        supervisor = Supervisor(Settings(**knobs), environ, patience=patience)  # type: ignore[arg-type]
        await supervisor.start()
        try:
            yield supervisor
        finally:
            await supervisor.stop(grace_s=0)

    return start


def request(text: str, name: str = "a") -> Request:
    return Request(name, (Message("user", text),))


async def answer(supervisor: Supervisor, text: str, name: str = "a") -> list[Event]:
    return [event async for event in supervisor.submit(request(text, name))]


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


async def phase(supervisor: Supervisor, wanted: str) -> None:
    """Wait until the supervisor reports the phase."""
    async with asyncio.timeout(30):
        while supervisor.status.phase != wanted:
            await supervisor.changed()
