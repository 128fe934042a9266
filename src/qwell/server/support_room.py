"""The support dialogues of a server: which case runs which turn, and who follows it.

A turn runs in a thread of its own and goes on without readers; its events are numbered and kept
(doctor/case_file.py), so any number of readers follow from any number. Knows no HTTP.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qwell.config import Settings
from qwell.core import Failed
from qwell.doctor import bundle
from qwell.doctor.case import Case, Said
from qwell.doctor.case_file import TERMINAL, CaseFile, CaseFolder, Event
from qwell.doctor.clinic import LocalClinic, WaysBack
from qwell.doctor.dialogue import Dialogue, recover, refusal
from qwell.doctor.fault import Fault, Language, Remedy
from qwell.doctor.finding import Evidence, Finding, Status
from qwell.doctor.monitor import incident_of
from qwell.doctor.scene import Scene
from qwell.doctor.treat import Treatment
from qwell.errors import QwellError
from qwell.server.doctor_room import DoctorRoom
from qwell.server.streams import Stream, Streams
from qwell.server.support_writer import WorkerWriter
from qwell.server.worker_protocol import Worker

CLOSE_S = 3.0  # until running turns are left behind at the end
_FAILURES = 200  # answers that failed, by request id
_LOG_BYTES, _LOG_LINES = 400_000, 30


@dataclass
class _Turn:
    """start: number of its first event; is_watch: gives way to any other turn."""

    file: CaseFile
    start: int
    task: asyncio.Task[None]
    cancelled: threading.Event
    is_watch: bool

    @property
    def has_ended(self) -> bool:
        """Its last event is there, which readers may see before the thread is through."""
        events = self.file.events
        return len(events) > self.start and events[-1]["type"] in TERMINAL


@dataclass
class _Readers:
    """Wakes whoever waits for events of a case."""

    grown: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        grown, self.grown = self.grown, asyncio.Event()
        grown.set()


class SupportRoom:
    """All methods belong to the event loop."""

    def __init__(
        self, settings: Settings, doctor: DoctorRoom, worker: Worker, streams: Streams
    ) -> None:
        self._folder = CaseFolder(settings.data_path)
        self._log = settings.data_path / "logs" / "qwell.log"
        self._doctor = doctor
        self._worker = worker
        self._turns: dict[str, _Turn] = {}
        self._readers: dict[str, _Readers] = {}
        self._failures: OrderedDict[str, Failed] = OrderedDict()
        streams.watchers.append(self._note_failure)

    def _note_failure(self, stream: Stream) -> None:
        if isinstance(stream.end, Failed):
            self._failures[stream.request.id] = stream.end
            while len(self._failures) > _FAILURES:
                self._failures.popitem(last=False)

    # ---- cases

    def cases(self) -> list[Case]:
        return self._folder.newest_first()

    def find(self, case_id: str) -> CaseFile:
        """Raises QwellError ``case-unknown``."""
        file = self._folder.get(case_id)
        if file is None:
            raise QwellError(
                "case-unknown",
                found=f"no support case {case_id[:64]!r}",
                expected="the id of a case that GET /api/support lists",
                fix="say again what is wrong, without a case",
            )
        if not self.is_running(case_id):
            recover(file)
        return file

    def is_running(self, case_id: str) -> bool:
        turn = self._turns.get(case_id)
        return turn is not None and not turn.has_ended

    def forget(self, case_id: str) -> None:
        """Raises QwellError ``case-unknown`` and ``case-busy``."""
        self.find(case_id)
        if self.is_running(case_id):
            raise _busy()
        self._folder.forget(case_id)

    def bundle(self, case_id: str) -> dict[str, Any]:
        """Everything for a helper. Takes a second: it looks at the machine."""
        file = self.find(case_id)
        found = list(file.case.findings.values())
        content = bundle.collect(self._doctor.look(), found).content
        return {
            **content,
            "case": file.case.brief(),
            "said": file.case.texts,
            "events": file.events,
        }

    # ---- turns

    async def begin(
        self, said: Said, case_id: str, language: Language, conversation: str
    ) -> tuple[CaseFile, int]:
        """Start a turn; the case, and the number of the turn's first event.

        Words to a case that has ended open a new one. Raises QwellError for a case that is unknown
        or busy, and for what cannot be said now.
        """
        file = self._open(said, case_id, language, conversation)
        await self._make_way(file.case)
        if refused := refusal(file.case, said):
            raise refused
        start = len(file.events)
        cancelled = threading.Event()
        scene = self._scene(file, cancelled)
        task = asyncio.create_task(self._run(file, lambda: Dialogue(scene).turn(said)))
        is_watch = said.choice == "watch"
        self._turns[file.case.id] = _Turn(file, start, task, cancelled, is_watch)
        return file, start

    def _open(self, said: Said, case_id: str, language: Language, conversation: str) -> CaseFile:
        if not case_id:
            return self._folder.new(language, conversation)
        file = self.find(case_id)
        is_over = file.case.state in ("no_fault", "handed_over")
        if is_over and not said.choice and not said.consent:
            return self._folder.new(file.case.language, file.case.conversation)
        return file

    def _scene(self, file: CaseFile, cancelled: threading.Event) -> Scene:
        loop = asyncio.get_running_loop()
        readers = self._readers.setdefault(file.case.id, _Readers())

        def tell(_event: Event) -> None:
            loop.call_soon_threadsafe(readers.wake)

        clinic = ServerClinic(self._doctor, loop, file)
        writer = WorkerWriter(loop, self._worker)
        return Scene(file, clinic, tell, writer, cancelled=cancelled)

    async def _make_way(self, case: Case) -> None:
        """One turn at a time; one that only watches ends for another."""
        while (turn := self._turns.get(case.id)) is not None:
            if not turn.is_watch and not turn.has_ended:
                raise _busy()
            turn.cancelled.set()
            await asyncio.wait([turn.task])

    async def _run(self, file: CaseFile, work: Callable[[], None]) -> None:
        try:
            await asyncio.to_thread(work)
        finally:
            del self._turns[file.case.id]
            self._readers[file.case.id].wake()

    async def close(self) -> None:
        """Tell running turns to end, and leave behind those that do not."""
        running = [turn.task for turn in self._turns.values()]
        for turn in self._turns.values():
            turn.cancelled.set()
        if running:
            await asyncio.wait(running, timeout=CLOSE_S)

    # ---- readers

    async def batches(
        self, file: CaseFile, start: int, idle_s: float
    ) -> AsyncGenerator[list[Event]]:
        """Events from number start to the end of its turn; none of them when idle_s passed."""
        at = start
        readers = self._readers.setdefault(file.case.id, _Readers())
        while True:
            grown, is_running = readers.grown, self.is_running(file.case.id)
            batch = _to_the_end(file.events[at:])
            if batch:
                yield batch
                at += len(batch)
                if batch[-1]["type"] in TERMINAL:
                    return
            elif not is_running:
                return
            else:
                try:
                    async with asyncio.timeout(idle_s):
                        await grown.wait()
                except TimeoutError:
                    yield []

    # ---- what an error card brings along

    def evidence_of(self, request_id: str, fault: str) -> tuple[list[Finding], str]:
        """The failure of an answer as a finding, and its lines of the log."""
        known = self._failures.get(request_id) if request_id else None
        code = known.code if known else fault
        if not code:
            return [], self._lines_of(request_id)
        facts = {"fault": code, "request_id": request_id, "cause": known.cause if known else ""}
        evidence = tuple(Evidence(k, v, "answer") for k, v in facts.items() if v)
        because = known.cause if known else f"an answer failed with {code}"
        found = Finding("answer.failed", "api", Status.FAIL, evidence, because)
        return [found], self._lines_of(request_id)

    def _lines_of(self, request_id: str) -> str:
        if not request_id:
            return ""
        lines = [line for line in _log_end(self._log) if request_id in line]
        return "\n".join(lines[-_LOG_LINES:])


class ServerClinic(LocalClinic):
    """One examination and one treatment at a time in the whole server. Used from a thread."""

    def __init__(self, room: DoctorRoom, loop: asyncio.AbstractEventLoop, ways: WaysBack) -> None:
        super().__init__(room.look, room.hands(), room.journal, ways)
        self._room = room
        self._loop = loop

    def examine(self, names: Sequence[str], watch: Callable[[Finding], None]) -> list[Finding]:
        with self._held(self._room.examining):
            return super().examine(names, watch)

    def treat(self, fault: Fault, remedy: Remedy) -> Treatment:
        with self._held(self._room.treating):
            done = super().treat(fault, remedy)
        for name in sorted(set(map(incident_of, fault.verify))):
            self._loop.call_soon_threadsafe(
                self._room.incidents.note, name, f"{remedy.id}: {done.result}"
            )
        return done

    def reload(self) -> None:
        with self._held(self._room.treating):
            super().reload()

    @contextmanager
    def _held(self, lock: asyncio.Lock) -> Iterator[None]:
        asyncio.run_coroutine_threadsafe(lock.acquire(), self._loop).result()
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(lock.release)


def _to_the_end(events: Sequence[Event]) -> list[Event]:
    """Up to and with the first end of a turn."""
    ends = [n for n, event in enumerate(events) if event["type"] in TERMINAL]
    return list(events[: ends[0] + 1] if ends else events)


def _log_end(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _LOG_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def _busy() -> QwellError:
    return QwellError(
        "case-busy",
        found="another step of this case is running",
        expected="one step at a time",
        fix="follow its events, and send this when it has ended",
    )
