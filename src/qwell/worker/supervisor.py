"""The parent's side: starts the child, restarts it, and ends every request exactly once.

Knows nothing of HTTP, and nothing of the model but what the child reports.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import logging
import os
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from qwell.backends import cgroup
from qwell.config import Settings
from qwell.core import Done, Event, Loading, Request, event_from_dict, is_terminal
from qwell.engine.failure import failed
from qwell.errors import QwellError
from qwell.worker import protocol
from qwell.worker.child import Child
from qwell.worker.mailbox import Mailbox
from qwell.worker.postmortem import Death, explain
from qwell.worker.status import Phase, WorkerStatus
from qwell.worker.watchdog import Watchdog

_log = logging.getLogger(__name__)
_SECRETS = ("api_key", "api_key_file", "database_url")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the parent waits for what. Seconds; a tick is one second."""

    tick_s: float = 1.0
    max_silent_ticks: int = 20  # importing heavy packages on a slow disk is silence, too
    max_step_ticks: int = 60  # busy is not dead: one chunk on one slow core takes seconds
    first_backoff_s: float = 0.5
    longest_backoff_s: float = 30.0
    healthy_after_s: float = 60.0  # a child that served this long starts again at first_backoff_s
    max_load_crashes: int = 3
    shutdown_s: float = 5.0


class Supervisor:
    """Owns the worker process. All methods belong to the event loop that called `start`."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str] | None = None,
        *,
        patience: Patience | None = None,
    ) -> None:
        self.status = WorkerStatus()
        self._settings = settings
        self._environ = dict(os.environ if environ is None else environ)
        self._environ.pop("QWELL_API_KEY", None)  # the child has no use for it
        self._patience = patience or Patience()
        self._mailboxes: dict[str, Mailbox] = {}
        self._unsent: dict[str, Request] = {}  # accepted, but no child is ready yet
        self._child: Child | None = None
        self._life: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._stop_wanted = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    # -- lifetime

    async def start(self) -> None:
        """Start the child, if there is none, and return at once: `status` tells of loading."""
        if self._life is not None:
            return
        self._stop_wanted.clear()
        self._set(phase="starting", progress=0.0, error=None)
        self._life = asyncio.create_task(self._live())

    async def spawned(self) -> None:
        """Wait until the child is on its way: it loads by itself from then on."""
        while self.status.phase == "starting":
            await self.changed()

    async def stop(self, grace_s: float = 10.0) -> None:
        """Let running answers end within grace_s, cancel the rest, end the child."""
        self._stop_wanted.set()
        if self.status.phase == "ready":
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), grace_s)
        for request_id in list(self._mailboxes):
            await self.cancel(request_id)
        if self._child is not None:
            self._child.send({"op": "shutdown"})
        await self._end_life()
        self._end_all(Done("cancelled"))
        self._set(phase="stopped", pid=None)

    async def _end_life(self) -> None:
        """Wait for the child's end; one that does not end by itself is killed."""
        if self._life is None:
            return
        await asyncio.wait({self._life}, timeout=self._patience.shutdown_s)
        if self._child is not None:
            self._child.kill()
        await self._life
        self._life = None

    async def restart(self) -> None:
        """Start anew, e.g. after a fix. Running answers are cancelled."""
        await self.stop(grace_s=0)
        await self.start()

    def configure(self, settings: Settings) -> None:
        """What children are started with from now on."""
        self._settings = settings

    async def changed(self) -> None:
        """Wait until `status` is replaced."""
        await self._changed.wait()

    # -- requests

    @property
    def in_flight(self) -> int:
        """Requests accepted and not yet ended."""
        return len(self._mailboxes)

    async def submit(self, request: Request) -> AsyncGenerator[Event]:
        """The events of one answer; the last one, and only it, is terminal.

        Closing the generator cancels the answer. Request ids must be unique among those in
        flight.
        """
        if (refusal := self._refusal()) is not None:
            yield failed(refusal, request.id)
            return
        mailbox = self._accept(request)
        try:
            event: Event | None = None
            while event is None or not is_terminal(event):
                event = await mailbox.get()
                yield event
        finally:
            if not mailbox.closed:
                await self.cancel(request.id)
            self._forget(request.id)

    async def cancel(self, request_id: str) -> None:
        """End an answer early; its stream ends with Done("cancelled"). Unknown ids are ignored."""
        if self._unsent.pop(request_id, None) is not None:
            self._deliver(request_id, Done("cancelled"))
        else:
            self._tell("cancel", request_id)

    async def pause(self, request_id: str) -> None:
        """Spend no time on an answer until `resume` or `cancel`. Unknown ids are ignored."""
        self._tell("pause", request_id)

    async def resume(self, request_id: str) -> None:
        """Go on with a paused answer. Unknown ids are ignored."""
        self._tell("resume", request_id)

    def _tell(self, op: str, request_id: str) -> None:
        is_sent = request_id in self._mailboxes and request_id not in self._unsent
        if is_sent and self._child is not None:
            self._child.send({"op": op, "id": request_id})

    def _refusal(self) -> QwellError | None:
        if self._stop_wanted.is_set() or self.status.phase == "stopped":
            return QwellError(
                "worker-crashed",
                found="the server is shutting down",
                expected="a running server",
                fix="start it again with `qwell serve`",
            )
        if self.status.phase == "failed":
            return self.status.error
        room = self._settings.max_queue + int(self.status.model.get("n_slots", 1))
        if len(self._mailboxes) >= room:
            return QwellError(
                "request-queueing",
                found=f"{len(self._mailboxes)} requests are running or waiting",
                expected=f"at most {room}",
                fix="try again in a moment; --max-queue allows more to wait",
            )
        return None

    def _accept(self, request: Request) -> Mailbox:
        assert request.id not in self._mailboxes, f"request id {request.id} is in use"
        mailbox = self._mailboxes[request.id] = Mailbox()
        self._idle.clear()
        if self.status.phase == "ready" and self._child is not None:
            self._send(request)
        else:
            self._unsent[request.id] = request
            mailbox.put(Loading(self.status.progress))
        return mailbox

    def _send(self, request: Request) -> None:
        assert self._child is not None
        try:
            self._child.send({"op": "submit", "request": request.to_dict()})
        except protocol.ProtocolError as error:
            self._deliver(request.id, failed(_too_large(error), request.id))

    def _forget(self, request_id: str) -> None:
        self._mailboxes.pop(request_id, None)
        if not self._mailboxes:
            self._idle.set()

    def _deliver(self, request_id: str, event: Event) -> None:
        """Events of requests whose reader has left are dropped here."""
        if (mailbox := self._mailboxes.get(request_id)) is not None:
            mailbox.put(event)

    def _end_all(self, ending: Done | QwellError, *, sent_only: bool = False) -> None:
        for request_id, mailbox in self._mailboxes.items():
            if sent_only and request_id in self._unsent:
                continue
            mailbox.put(failed(ending, request_id) if isinstance(ending, QwellError) else ending)
        if not sent_only:
            self._unsent.clear()

    # -- the child's life

    async def _live(self) -> None:
        """One child after the other. Whatever goes wrong here ends every request."""
        try:
            await self._live_on()
        except Exception as error:  # noqa: BLE001  a bug here must not leave readers waiting
            _log.exception("the worker cannot be kept running")
            self._fail(_cannot_start(error))

    async def _live_on(self) -> None:
        """Restart the child until stopped or until loading is hopeless."""
        backoff_s, load_crashes = self._patience.first_backoff_s, 0
        while True:
            started = asyncio.get_running_loop().time()
            was_ready, death = await self._one_life()
            if self._stop_wanted.is_set() or self.status.phase == "failed":
                return
            served_s = asyncio.get_running_loop().time() - started
            if was_ready and served_s >= self._patience.healthy_after_s:
                backoff_s = self._patience.first_backoff_s
            load_crashes = 0 if was_ready else load_crashes + 1
            error = explain(death)
            _log.error("%s", error, extra={"fault": error.fault, "restart_in_s": backoff_s})
            if load_crashes >= self._patience.max_load_crashes:
                self._fail(error)
                return
            self._set(phase="restarting", progress=0.0, error=error, pid=None)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop_wanted.wait(), backoff_s)
                return
            backoff_s = min(2 * backoff_s, self._patience.longest_backoff_s)
            self._set(restarts=self.status.restarts + 1)

    async def _one_life(self) -> tuple[bool, Death]:
        """Run one child to its end; its requests are ended with it. True: it became ready."""
        oom_before = cgroup.oom_kills()
        child = self._child = await Child.spawn(self._environ)
        self._set(phase="loading", progress=0.0, pid=child.pid, steps=0, running=0, waiting=0)
        child.send({"op": "load", "settings": _for_child(self._settings)})
        if self._stop_wanted.is_set():
            child.send({"op": "shutdown"})
        watchdog = Watchdog(self._patience.max_silent_ticks, self._patience.max_step_ticks)
        guard = asyncio.create_task(self._guard(child, watchdog))
        was_ready = False
        try:
            async for message in child.messages():
                self._handle(message, watchdog)
                was_ready = was_ready or self.status.phase == "ready"
        except (protocol.ProtocolError, ValueError, KeyError):
            _log.exception("the worker sent what is no message")
        finally:
            self._child = None
            child.kill()  # its reports have ended: whatever still runs is of no use
            guard.cancel()
        status = await child.wait()
        hung = guard.result() if guard.done() and not guard.cancelled() else ""
        death = Death(status, cgroup.oom_kills() - oom_before, hung)
        self._set(last_words=child.last_words)
        if not self._stop_wanted.is_set():
            self._end_all(explain(death), sent_only=True)
        return was_ready, death

    async def _guard(self, child: Child, watchdog: Watchdog) -> Literal["", "no-beats", "no-steps"]:
        """Kill the child when it hangs, and return why."""
        while not (verdict := watchdog.tick()):  # noqa: ASYNC110  a clock, nothing to wait for
            await asyncio.sleep(self._patience.tick_s)
        child.kill()
        return verdict

    # -- what the child reports

    def _handle(self, message: dict[str, Any], watchdog: Watchdog) -> None:
        match message["op"]:
            case "event":
                self._deliver(message["id"], event_from_dict(message["event"]))
            case "beat":
                watchdog.beat(message["step"], message["running"])
                self._set(
                    steps=message["step"], running=message["running"], waiting=message["waiting"]
                )
            case "status":
                self._on_status(message)

    def _on_status(self, message: dict[str, Any]) -> None:
        phase: Phase = message["phase"]
        if phase == "loading":
            self._set(phase=phase, progress=message["progress"], stage=message.get("stage", ""))
            for request_id in self._unsent:
                self._deliver(request_id, Loading(message["progress"]))
        elif phase == "ready":
            self._set(phase=phase, progress=1.0, stage="", model=message["model"], error=None)
            self._send_waiting()
        elif phase == "failed":
            self._fail(QwellError.from_dict(message["error"]))

    def _send_waiting(self) -> None:
        for request in self._unsent.values():
            self._send(request)
        self._unsent.clear()

    def _fail(self, error: QwellError) -> None:
        self._set(phase="failed", error=error, model={}, pid=None)
        self._end_all(error)

    def _set(self, **values: Any) -> None:
        self.status = dataclasses.replace(self.status, **values)
        self._changed.set()
        self._changed = asyncio.Event()


def _too_large(error: protocol.ProtocolError) -> QwellError:
    return QwellError(
        "invalid-request-body",
        found=str(error),
        expected="a conversation that a context window could hold",
        fix="send fewer or shorter messages",
    )


def _cannot_start(error: Exception) -> QwellError:
    faults = {errno.EMFILE: "fd-limit", errno.ENFILE: "fd-limit", errno.ENOMEM: "insufficient-ram"}
    number = error.errno if isinstance(error, OSError) else None
    return QwellError(
        faults.get(number or 0, "worker-crashed"),
        found=f"the worker could not be started: {error!r}",
        expected="room for one more process and its pipes",
        fix="raise the limits on memory, processes and open files (`ulimit -a`), then start again",
    )


def _for_child(settings: Settings) -> dict[str, Any]:
    """The settings as JSON, without the secrets, which the child has no use for."""
    values = dataclasses.asdict(settings)
    return {name: value for name, value in values.items() if name not in _SECRETS}
