"""Monitors over a worker that answers from a script, and over a real one that dies."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from qwell.core import Delta, Done, Notice, Timings
from qwell.doctor.finding import Finding
from qwell.errors import QwellError
from qwell.server.doctor_room import DoctorRoom
from qwell.server.monitors import Monitors, OwnSystem

pytestmark = pytest.mark.anyio
HEALTHY = (Delta("1, 2, 3"), Done("stop", timings=Timings(0.0, 5.0, 20.0, 40.0)))


@pytest.fixture
def room(make_app: Callable[..., FastAPI], tmp_path: Path, worker: Any) -> DoctorRoom:
    worker.script = HEALTHY
    app = make_app(data_dir=str(tmp_path / "data"), cache_dir=str(tmp_path / "cache"))
    made: DoctorRoom = app.state.doctor
    return made


def fault_of(finding: Finding) -> str:
    return str(finding.facts().get("fault", ""))


def monitors(room: DoctorRoom) -> Monitors:
    return Monitors(room.view, room.incidents, fault_of)


async def test_a_healthy_server_has_no_incident(room: DoctorRoom) -> None:
    watch = monitors(room)
    for _ in range(3):
        room.view.look_at_worker()
        await watch.tick()
    assert room.incidents.newest_first() == []


async def test_the_usual_speed_is_learned_from_the_fixed_question(room: DoctorRoom) -> None:
    watch = monitors(room)
    for _ in range(5):
        watch._asked_at = -1e9
        await watch.tick()
    known = room.view.baseline
    assert known.is_known
    assert (known.tok_s, known.answers) == (pytest.approx(40.0), ("1, 2, 3",))
    assert monitors(room)._view.facts()["baseline"]["n"] == 5


async def test_nobody_is_kept_waiting_by_the_fixed_question(room: DoctorRoom, worker: Any) -> None:
    worker.status.phase = "loading"
    await monitors(room).tick()
    assert worker.requests == []


async def test_a_slow_answer_twice_is_an_incident_until_it_is_fast_again(
    room: DoctorRoom, worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OwnSystem, "kernel", lambda _self, _path: None)  # no load of this machine
    watch = monitors(room)

    async def ask(tok_s: float) -> None:
        worker.script = (Delta("1, 2, 3"), Done("stop", timings=Timings(0.0, 5.0, 20.0, tok_s)))
        watch._asked_at = -1e9
        await watch.tick()

    for tok_s in [40.0] * 5 + [4.0, 4.0]:
        await ask(tok_s)
    assert room.incidents.open_for("engine.speed") is not None
    await ask(40.0)
    await ask(40.0)
    assert room.incidents.open_for("engine.speed") is None


async def test_a_death_is_one_incident_at_once_and_closes_by_itself(
    room: DoctorRoom, worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = monitors(room)
    room.view.look_at_worker()
    worker.status.phase = "restarting"
    worker.status.error = QwellError("worker-crashed", found="SIGSEGV", expected="", fix="")
    room.view.look_at_worker()
    await watch.tick()
    incident = room.incidents.open_for("engine.worker")
    assert incident is not None
    assert incident.fault == "worker-crashed"
    worker.status.phase, worker.status.error = "ready", None
    for _ in range(3):
        await watch.tick()
    (incident,) = room.incidents.newest_first()
    assert incident.is_open  # it is back, but ended a moment ago
    now = time.monotonic()
    monkeypatch.setattr("qwell.server.self_view.time.monotonic", lambda: now + 31.0)
    for _ in range(2):
        await watch.tick()
    (incident,) = room.incidents.newest_first()
    assert not incident.is_open
    assert [what for _, what in incident.events] == ["opened", "closed"]


async def test_a_worker_that_reports_nothing_is_an_incident_before_it_is_killed(
    room: DoctorRoom, worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.status.pid = 2**22 + 1  # no process has it
    now = time.monotonic()
    room.view.look_at_worker()
    monkeypatch.setattr("qwell.server.self_view.time.monotonic", lambda: now + 7.0)
    room.view.look_at_worker()
    await monitors(room).tick()
    assert room.incidents.open_for("engine.responsive") is not None


async def test_a_death_between_two_looks_is_noted_all_the_same(
    room: DoctorRoom, worker: Any
) -> None:
    room.view.look_at_worker()
    worker.status.restarts = 1
    room.view.look_at_worker()
    (death,) = room.view.facts()["worker"]["deaths"]
    assert death["fault"] == "worker-crashed"


async def test_answers_of_late_are_counted_with_their_remarks(
    room: DoctorRoom, worker: Any
) -> None:
    from qwell.core import Message, Request

    worker.script = (Notice("repetition-loop"), Done("repetition"))
    for n, most in ((1, None), (2, None), (3, 16)):
        request = Request(id=str(n), messages=(Message("user", "hi"),), max_tokens=most)
        stream = room.view.streams.open(request, grace_s=0)
        await stream.producer
    facts = room.view.facts()
    assert facts["answers"] == 2  # one that was meant to be short tells nothing
    assert facts["notices"] == {"repetition-loop": 2}
    assert facts["reasons"] == {"repetition": 2}


async def test_a_broken_round_does_not_end_the_monitors(
    room: DoctorRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    from qwell.server import monitors as module

    monkeypatch.setattr(module, "EVERY_S", 0.001)
    seen = asyncio.Event()
    rounds = 0

    async def tick(_self: Monitors) -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 3:
            seen.set()
        raise RuntimeError("this round only")

    monkeypatch.setattr(Monitors, "tick", tick)
    async with room.watching(), asyncio.timeout(10):
        await seen.wait()


async def test_a_round_costs_next_to_nothing(room: DoctorRoom) -> None:
    """Less than one hundredth of a core: what the answers would otherwise have."""
    import time

    from qwell.server.monitors import EVERY_S

    watch = monitors(room)
    await watch.tick()
    started = time.process_time()
    for _ in range(5):
        await watch.tick()
    cpu_s = (time.process_time() - started) / 5
    assert cpu_s < 0.02 * EVERY_S  # of one core; generous for a machine that is busy
