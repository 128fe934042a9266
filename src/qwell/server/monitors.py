"""Runs the watched checks while the server runs, and asks the fixed question now and then.

Knows when and how often; what is wrong is said by the checks, and when that is an alarm by
doctor/monitor.py.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

from qwell.core import Delta, Done, Event, Message, Request, Sampling, event_to_dict, is_terminal
from qwell.doctor import load_sample
from qwell.doctor.answer import Answer, Frame
from qwell.doctor.checks import CHECKS
from qwell.doctor.finding import Finding
from qwell.doctor.incident import Incidents
from qwell.doctor.load_sample import Counters, LoadSample, count
from qwell.doctor.monitor import WATCHED, Hysteresis, incident_of
from qwell.doctor.observe import observe, select
from qwell.doctor.system import System
from qwell.server.on_demand import ASIDE
from qwell.server.self_view import SelfView

EVERY_S = 5.0
LOOK_S = 0.25  # shorter than the shortest pause before a restart: no death is missed
LEARN_S, REPEAT_S = 20.0, 600.0  # between two fixed questions: while learning, and afterwards
log = logging.getLogger("qwell.server.monitor")
NameFault = Callable[[Finding], str]


class OwnSystem(System):
    """The machine as the server sees it: what it would ask itself by HTTP, it knows."""

    def __init__(self, view: SelfView, sample: LoadSample) -> None:
        super().__init__(view.settings)
        self._facts = view.facts()
        ready = view.worker.status.phase in ("ready", "idle")
        for path, status, body in (
            ("/health", 200, {"status": "ok"}),
            ("/version", 200, {"name": "qwell"}),
            ("/ready", 200 if ready else 503, {}),
            ("/api/doctor/facts", 200, self._facts),
        ):
            self.keep(f"GET {path}", Answer(status, {}, json.dumps(body).encode()))
        self.keep("load sample", sample)

    @property
    def facts(self) -> dict[str, Any]:
        return self._facts


class Monitors:
    """One per server; `running` is its life."""

    def __init__(self, view: SelfView, incidents: Incidents, name_fault: NameFault) -> None:
        self._view = view
        self._incidents = incidents
        self._name_fault = name_fault
        self._states = {
            watched.check: Hysteresis(
                watched, is_raised=incidents.open_for(watched.incident) is not None
            )
            for watched in WATCHED
        }
        self._checks = select(CHECKS, names=self._states)
        self._last: Counters | None = None
        self._asked_at = -REPEAT_S
        self._answer: list[Frame] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(work()) for work in (self._look, self._tick_on)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _look(self) -> None:
        while True:
            self._view.look_at_worker()
            await asyncio.sleep(LOOK_S)

    async def _tick_on(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.tick()
            except Exception:
                log.exception("a round of the monitors broke off")

    async def tick(self) -> None:
        """One round: the fixed question when it is due and nobody waits, then the checks."""
        if self._is_due():
            await self._ask()
        findings = await asyncio.to_thread(self._observe)
        for finding in findings:
            if finding.check in self._states:
                await asyncio.to_thread(self._note, finding)
        self._answer = []

    def _observe(self) -> list[Finding]:
        system = System(self._view.settings)
        now = count(system, self._view.worker.status.pid)
        head = Answer(200, {}) if self._answer else None
        sample = LoadSample(self._last or now, now, head, self._answer)
        self._last = now
        return observe(OwnSystem(self._view, sample), self._checks, cap_s=EVERY_S)

    def _note(self, finding: Finding) -> None:
        """Open, go on with or close the incident that the finding belongs to."""
        name = incident_of(finding.check)
        turn = self._states[finding.check].note(finding)
        if turn in ("raise", "still"):
            is_news = self._incidents.open_for(name) is None
            told = replace(finding, check=name)
            incident = self._incidents.upsert(told, self._name_fault(finding))
            if is_news:
                facts = {"check": finding.check, "fault": incident.fault}
                log.warning("incident: %s", finding.because, extra=facts)
        elif turn == "clear" and not self._is_raised(name):
            closed = self._incidents.close(name)
            if closed is not None:
                log.info("incident over", extra={"check": name, "fault": closed.fault})

    def _is_raised(self, incident: str) -> bool:
        """Whether any of the checks that share it still says so."""
        states = self._states.items()
        return any(it.is_raised for check, it in states if incident_of(check) == incident)

    # -- the fixed question

    def _is_due(self) -> bool:
        status = self._view.worker.status
        is_idle = status.phase == "ready" and not (status.running or status.waiting)
        pause = REPEAT_S if self._view.baseline.is_known else LEARN_S
        waited = time.monotonic() - self._asked_at
        return is_idle and not self._view.streams.n_live and waited >= pause

    async def _ask(self) -> None:
        """Keep the answer as frames for the checks, and learn from it while there is to learn."""
        started = self._asked_at = time.monotonic()
        text, end = "", None
        async with aclosing(self._view.worker.submit(_question(started))) as events:
            async for event in events:
                self._answer.append(_frame(event, time.monotonic() - started))
                text += event.text if isinstance(event, Delta) else ""
                end = event if is_terminal(event) else None
        if isinstance(end, Done) and text and not self._view.baseline.is_known:
            try:
                self._view.learn(end.timings.tok_s, end.timings.ttft_ms, text)
            except OSError as error:
                log.warning("the usual speed cannot be noted: %s", error)


def _question(started: float) -> Request:
    return Request(
        id=f"{ASIDE}fixed-question-{started:.3f}",
        messages=(Message("user", load_sample.QUESTION),),
        sampling=Sampling(temperature=0),
        max_tokens=load_sample.N_TOKENS,
    )


def _frame(event: Event, at_s: float) -> Frame:
    return Frame(json.dumps(event_to_dict(event), ensure_ascii=False), at_s)
