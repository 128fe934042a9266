"""The child: `python -m qwell.worker.process --report-fd N`. Owns backend and engine.

Three threads: this one loads and steps, one reads commands, one beats. Knows nothing of HTTP.
It lives as long as its standard input: when the parent is gone, it goes at once.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from qwell import log
from qwell.backends.memory import give_back
from qwell.backends.registry import import_failed
from qwell.config import Settings
from qwell.core import Delta, Event, Request, event_to_dict
from qwell.engine.failure import out_of_memory
from qwell.errors import QwellError
from qwell.worker import protocol
from qwell.worker.merge import merged

if TYPE_CHECKING:
    from qwell.engine.engine import Engine, Events
    from qwell.worker.loading import Loaded

BEAT_S = 1.0
BRIEFLY_IDLE_S = 0.1  # what an answer waits for by a few hundredths of a second may be done
IDLE_S = 3.0  # so long after the last answer nobody is likely to ask within the next second
HELD_S = 0.05  # words come in groups of this length, which reads as a steady flow
_INTERRUPT_EVERY_S, _MAX_INTERRUPTS = 0.005, 200
_log = logging.getLogger(__name__)


class Reports:
    """The pipe to the parent. Safe from any thread; a broken pipe ends the process."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        self._held: dict[str, list[Event]] = {}  # by request, of the engine's thread
        self._sent_at = 0.0

    def send(self, *messages: dict[str, Any]) -> None:
        lines = memoryview(b"".join(map(protocol.encode, messages)))
        try:
            with self._lock:
                while lines:
                    lines = lines[os.write(self._fd, lines) :]
        except BrokenPipeError:
            _vanish()

    def status(self, phase: str, **values: Any) -> None:
        self.send({"op": "status", "phase": phase, **values})

    def events(self, events: Events) -> None:
        """Send them, or keep them for a moment if they are but the next words of answers.

        Each writing wakes the parent, which needs one of the cores that compute, and each event
        is work for it: words that were kept are sent as one.
        """
        for request_id, event in events:
            self._hold(self._held.setdefault(request_id, []), event)
        now = time.monotonic()
        if now - self._sent_at >= HELD_S or not all(isinstance(e, Delta) for _, e in events):
            self._sent_at = now
            self.flush()

    def _hold(self, held: list[Event], event: Event) -> None:
        both = merged(held[-1], event) if held else None
        if both is None:
            held.append(event)
        else:
            held[-1] = both

    def flush(self) -> None:
        """Send what is kept."""
        held, self._held = self._held, {}
        if held:
            self.send(*(_event(i, event) for i, events in held.items() for event in events))


def _event(request_id: str, event: Event) -> dict[str, Any]:
    return {"op": "event", "id": request_id, "event": event_to_dict(event)}


class Worker:
    """Everything the threads share: the commands, and the engine once it is there."""

    def __init__(self, reports: Reports) -> None:
        self.reports = reports
        self.commands: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.engine: Engine | None = None
        # To be done when nobody has asked for so many seconds, each until it says that it is done.
        self.idle: list[tuple[float, Callable[[], bool]]] = []

    def read_commands(self, fd: int) -> None:
        """Until end of file, which means that the parent is gone. Also while a step runs."""
        try:
            for line in _lines(fd):
                command = protocol.decode(line)
                if command["op"] == "shutdown" and self.engine is None:
                    break
                self.commands.put(command)
                if command["op"] in {"cancel", "pause"}:
                    self.interrupt(command["id"])
        except protocol.ProtocolError:
            _log.exception("this is not the parent")
        _vanish()

    def interrupt(self, request_id: str) -> None:
        """End a step that runs for this request alone, or mostly: a long prompt takes seconds."""
        pause = threading.Event()
        for _ in range(_MAX_INTERRUPTS):  # a step that hangs is the parent's business
            if self.engine is None or not self.engine.interrupt(request_id):
                return
            pause.wait(_INTERRUPT_EVERY_S)

    def beat(self) -> None:
        """Tell the parent every BEAT_S how far the engine is."""
        pause = threading.Event()
        while not pause.wait(BEAT_S):
            engine = self.engine
            step, running, waiting = (
                (engine.n_steps, engine.n_running, engine.n_waiting) if engine else (0, 0, 0)
            )
            self.reports.send({"op": "beat", "step": step, "running": running, "waiting": waiting})

    def serve(self, engine: Engine) -> None:
        """Step while there is work, sleep while there is none, return on shutdown."""
        self.idle = [(BRIEFLY_IDLE_S, engine.settle), (IDLE_S, engine.prepare)]
        while True:
            for command in self._arrived(wait=not engine.has_work):
                match command["op"]:
                    case "submit":
                        self.reports.events(engine.add(Request.from_dict(command["request"])))
                    case "cancel":
                        self.reports.events(engine.cancel(command["id"]))
                    case "pause":
                        engine.pause(command["id"])
                    case "resume":
                        engine.resume(command["id"])
                    case "shutdown":
                        return
            if engine.has_work:
                self.reports.events(engine.step())

    def _next(self) -> dict[str, Any]:
        """The next command. When none comes for a while, the time is used for what may come."""
        while self.idle:
            after_s, task = self.idle[0]
            try:
                return self.commands.get(timeout=after_s)
            except queue.Empty:
                if task():
                    del self.idle[0]
        return self.commands.get()

    def _arrived(self, *, wait: bool) -> Iterator[dict[str, Any]]:
        """The commands that are there; with wait at least one."""
        if wait:
            self.reports.flush()
            yield self._next()
        while not self.commands.empty():
            yield self.commands.get()


def _vanish() -> None:
    """End at once, even inside a native step, and take along what was started, e.g. a download."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _lines(fd: int) -> Iterator[bytes]:
    """Whole lines. Not a buffered file: its lock, held by a thread, would abort the exit."""
    held = b""
    while piece := os.read(fd, 65536):
        *whole, held = (held + piece).split(b"\n")
        yield from whole


def main() -> int:
    parser = argparse.ArgumentParser(prog="qwell.worker.process")
    parser.add_argument("--report-fd", type=int, required=True)
    reports = Reports(parser.parse_args().report_fd)
    faulthandler.enable()  # the stack of a native crash becomes part of the last words
    for polite in (signal.SIGTERM, signal.SIGINT):
        signal.signal(polite, signal.SIG_IGN)  # the parent drains first, then ends this process
    worker = Worker(reports)
    for task, args in ((worker.read_commands, (sys.stdin.fileno(),)), (worker.beat, ())):
        threading.Thread(target=task, args=args, daemon=True).start()
    settings = _settings(worker.commands.get()["settings"])
    log.configure(settings.log_format, settings.log_level)
    try:
        loaded = _load(worker, settings)
    except QwellError as error:
        _log.error("%s", error, extra={"fault": error.fault})
        reports.status("failed", error=error.to_dict())
        return 1
    gc.collect()
    give_back()
    gc.freeze()  # what is loaded stays: no collection between two tokens looks at it again
    worker.engine = loaded.engine
    reports.status("ready", model=loaded.model)
    _log.info("model ready", extra={"model": loaded.model})
    if slow_why := loaded.model["slow_why"]:
        _log.warning("answers will be %s", slow_why)
    worker.serve(loaded.engine)
    loaded.close()
    return 0


def _settings(values: dict[str, Any]) -> Settings:
    """JSON has no tuples."""
    tupled: dict[str, Any] = {k: tuple(v) if type(v) is list else v for k, v in values.items()}
    return Settings(**tupled)


def _load(worker: Worker, settings: Settings) -> Loaded:
    """Raises QwellError. The heavy imports happen here: after the beats have begun."""

    def report(done: float, stage: str) -> None:
        worker.reports.status("loading", progress=done, stage=stage)

    report(0.0, "import")
    try:
        gc.disable()  # what an import makes stays; packing, which may follow, makes garbage
        from qwell.worker.loading import load

        gc.enable()
        return load(settings, report)
    except ImportError as error:
        raise import_failed(settings.engine, error) from error
    except MemoryError as error:
        raise out_of_memory() from error


if __name__ == "__main__":
    sys.exit(main())
