"""A worker that answers from a script, and the server over it: in process or on a real port."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from fastapi import FastAPI

from qwell.config import Settings
from qwell.core import Delta, Done, Event, Failed, Prefill, Request, Timings, Usage
from qwell.errors import QwellError
from qwell.server.app import create_app
from qwell.server.listen import make_server
from qwell.server.port import bind
from qwell.worker.supervisor import Supervisor

DONE = Done("stop", Usage(7, 3, 2), Timings(1.0, 2.0, 3.0, 40.0))
ANSWER = (Prefill(7, 7, 3), Delta("你好"), Delta(", world"), DONE)
MODEL = {"name": "tiny-qwen", "quant": "q8", "engine": "scripted", "isa": "none", "threads": 1}


@dataclass
class FakeStatus:
    phase: str = "ready"
    progress: float = 1.0
    model: dict[str, Any] = field(default_factory=lambda: dict(MODEL))
    error: QwellError | None = None
    last_words: str = ""
    pid: int | None = None
    restarts: int = 0
    running: int = 0
    waiting: int = 0


class FakeWorker:
    """Says its script. A PAUSE in it waits for go() or for cancellation."""

    PAUSE = None

    def __init__(self) -> None:
        self.status = FakeStatus()
        self.script: Iterable[Event | None] = ANSWER
        self.requests: list[Request] = []
        self.started = self.stopped = False
        self.cancelled: dict[str, asyncio.Event] = {}
        self.told: asyncio.Queue[tuple[str, str]] = asyncio.Queue()  # pause, resume: request id
        self.paused = asyncio.Event()
        self._go = asyncio.Event()

    async def start(self) -> None:
        self.started = True

    async def stop(self, grace_s: float) -> None:
        self.stopped = grace_s >= 0

    def configure(self, settings: Settings) -> None:
        self.settings = settings

    def go(self) -> None:
        self._go.set()

    async def submit(self, request: Request) -> AsyncGenerator[Event]:
        self.requests.append(request)
        cancelled = self.cancelled.setdefault(request.id, asyncio.Event())
        if self.status.phase == "failed":
            yield Failed(code="weights-truncated", cause="short file", fix="qwell pull")
            return
        for event in self.script:
            if event is self.PAUSE and await self._is_cancelled_in_pause(cancelled):
                yield Done("cancelled", Usage(7, 3, 1))
                return
            if event is not self.PAUSE:
                yield event

    async def _is_cancelled_in_pause(self, cancelled: asyncio.Event) -> bool:
        self.paused.set()
        waits = [asyncio.create_task(event.wait()) for event in (self._go, cancelled)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return cancelled.is_set()

    async def cancel(self, request_id: str) -> None:
        self.cancelled.setdefault(request_id, asyncio.Event()).set()

    async def pause(self, request_id: str) -> None:
        self.told.put_nowait(("pause", request_id))

    async def resume(self, request_id: str) -> None:
        self.told.put_nowait(("resume", request_id))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def worker() -> FakeWorker:
    return FakeWorker()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A built page of three files, with a secret beside it."""
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text('<html><div id="root"></div></html>', encoding="utf-8")
    (folder / "assets" / "app-1a2b3c.js").write_text("console.log(1)", encoding="utf-8")
    (folder / "favicon.svg").write_text("<svg/>", encoding="utf-8")
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    return folder


@pytest.fixture
def make_app(worker: FakeWorker, bundle: Path, tmp_path: Path) -> Callable[..., FastAPI]:
    """The application with these settings, and conversations of its own."""
    own = {"data_dir": str(tmp_path / "data")}
    return lambda **settings: create_app(Settings(**(own | settings)), worker, bundle=bundle)


@pytest.fixture
def client_of() -> Callable[..., httpx.AsyncClient]:
    """A client that calls an application directly: no port, no partial bodies."""

    def make(app: FastAPI, **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app)
        return httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=headers)

    return make


@pytest.fixture
def client(
    make_app: Callable[..., FastAPI], client_of: Callable[..., httpx.AsyncClient]
) -> httpx.AsyncClient:
    return client_of(make_app())


@pytest.fixture
async def api(
    make_app: Callable[..., FastAPI], client_of: Callable[..., httpx.AsyncClient]
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that has been started and will be stopped."""
    app = make_app()
    async with app.router.lifespan_context(app):
        yield client_of(app)


@pytest.fixture
def served() -> Callable[..., AbstractAsyncContextManager[str]]:
    """Serves an application on a real port of this machine while the block runs."""

    @asynccontextmanager
    async def serve(app: FastAPI, *, drain_s: float = 0.0) -> AsyncIterator[str]:
        listener = bind("127.0.0.1", 0)
        server = make_server(app, drain_s=drain_s)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running

    return serve


@pytest.fixture
def question() -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def openai_client(make_app: Any, served: Any) -> Any:
    """OpenAI's official client over a real port."""

    @asynccontextmanager
    async def connect(**settings: Any) -> AsyncIterator[openai.AsyncOpenAI]:
        async with (
            served(make_app(**settings)) as url,
            openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client,
        ):
            yield client

    return connect


@pytest.fixture
def running(served: Any, bundle: Path) -> Any:
    """Server and worker with this script, once the worker has left the state of loading."""

    @asynccontextmanager
    async def run(*, await_model: bool = True, **script: Any) -> AsyncIterator[str]:
        settings = Settings(engine="scripted", ctx_size=512)
        environ = os.environ | {"QWELL_SCRIPT": json.dumps(script)}
        supervisor = Supervisor(settings, environ)
        async with served(create_app(settings, supervisor, bundle=bundle)) as url:
            while await_model and supervisor.status.phase in ("starting", "loading"):
                await supervisor.changed()
            yield url

    return run
