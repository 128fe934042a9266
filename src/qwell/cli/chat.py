"""`qwell chat`: the engine in the terminal, without server and page: the minimal reproduction.

Ctrl-C stops the answer, not the chat; Ctrl-D or /exit leaves; /new starts over.
"""

from __future__ import annotations

import argparse
import asyncio
import queue
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from qwell.config import Settings, load
from qwell.core import Delta, Done, Event, Failed, Message, Notice, Request, is_terminal
from qwell.errors import QwellError

if TYPE_CHECKING:
    from qwell.worker.supervisor import Supervisor

_HELP = "/new starts over, /exit leaves, Ctrl-C stops an answer"


def run(options: argparse.Namespace) -> int:
    """Without a terminal, or with a message, one question is answered."""
    from qwell import log

    settings, _ = load(vars(options))
    log.configure("text", options.log_level or "warning")
    with Worker(settings) as worker:
        if options.message is not None:
            return _once(worker, options.message)
        if not sys.stdin.isatty():
            return _once(worker, sys.stdin.read())
        return _talk(worker)


class Worker:
    """A supervisor on a loop of its own thread, so that the terminal may block here."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._n_requests = 0
        self._supervisor: Supervisor | None = None

    def __enter__(self) -> Self:
        """Raises QwellError when the model cannot be loaded."""
        self._thread.start()
        try:
            self._call(self._start()).result()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._supervisor is not None:
            self._call(self._supervisor.stop(grace_s=0)).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def answer(self, history: list[Message]) -> Iterator[Event]:
        """Events up to the terminal one. Ctrl-C stops the answer, whose end still follows."""
        self._n_requests += 1
        request = Request(id=f"chat-{self._n_requests}", messages=tuple(history))
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._call(self._forward(request, events))
        with _on_interrupt(lambda: self._call(self._cancel(request.id))):
            while True:
                event = events.get()
                yield event
                if is_terminal(event):
                    return

    async def _start(self) -> None:
        from qwell.cli.progress import watch_loading
        from qwell.worker.supervisor import Supervisor

        self._supervisor = Supervisor(self._settings)
        await self._supervisor.start()
        await watch_loading(self._supervisor)
        if self._supervisor.status.error is not None:
            raise self._supervisor.status.error

    async def _forward(self, request: Request, events: queue.SimpleQueue[Event]) -> None:
        assert self._supervisor is not None
        async for event in self._supervisor.submit(request):
            events.put(event)

    async def _cancel(self, request_id: str) -> None:
        assert self._supervisor is not None
        await self._supervisor.cancel(request_id)

    def _call(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)


@contextmanager
def _on_interrupt(act: Callable[[], object]) -> Iterator[None]:
    """Ctrl-C acts instead of raising, wherever it comes: waiting or printing."""
    before = signal.signal(signal.SIGINT, lambda *_: act() and None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _once(worker: Worker, question: str) -> int:
    answer, end = _print_answer(worker, [Message("user", question)])
    del answer
    return 0 if isinstance(end, Done) else 2


def _talk(worker: Worker) -> int:
    """Ask, answer, remember, until told to leave."""
    print(_HELP, file=sys.stderr)
    history: list[Message] = []
    for line in _lines():
        if line == "/new":
            history.clear()
        elif line.startswith("/"):
            print(_HELP, file=sys.stderr)
        else:
            history.append(Message("user", line))
            answer, end = _print_answer(worker, history)
            if isinstance(end, Failed):
                history.pop()  # the question can be asked again
            else:
                history.append(Message("assistant", answer))
    return 0


def _lines() -> Iterator[str]:
    """What the person types, with line editing; Ctrl-C only drops the line."""
    with suppress(ImportError):  # not every Python has it
        import readline  # noqa: F401  importing it gives input() its editing

    while True:
        try:
            line = input("> ").strip()
        except KeyboardInterrupt:
            print()
            continue
        except EOFError:
            print()
            return
        if line == "/exit":
            return
        if line:
            yield line


def _print_answer(worker: Worker, history: list[Message]) -> tuple[str, Event]:
    """Print text as it comes, and a line of numbers or the reason of a failure at its end."""
    pieces: list[str] = []
    end: Event = Failed()
    for event in worker.answer(history):
        match event:
            case Delta(text=text):
                pieces.append(text)
                print(text, end="", flush=True)
            case Notice(code=code, detail=detail):
                print(f"[{code}: {dict(detail)}]", file=sys.stderr)
            case _:
                end = event
    print()
    _print_end(end)
    return "".join(pieces), end


def _print_end(end: Event) -> None:
    if isinstance(end, Failed):
        from qwell.cli.failure import describe

        error = QwellError(end.code, found=end.cause, expected="an answer", fix=end.fix)
        print(describe(error), file=sys.stderr)
    elif isinstance(end, Done) and sys.stderr.isatty():
        used, spent = end.usage, end.timings
        print(
            f"\x1b[2m[{end.reason} · {used.prompt_tokens} + {used.completion_tokens} tokens · "
            f"first after {spent.ttft_ms:.0f} ms · {spent.tok_s:.1f} tok/s]\x1b[0m",
            file=sys.stderr,
        )
