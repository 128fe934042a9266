"""The control without a fault: a healthy system in many situations, and no alarm.

Fresh, busy, small, behind a proxy and without a network; the whole doctor each time, by its
checks in this process, since its command line would only be slower.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from qwell.config import Settings
from qwell.doctor.checks import CHECKS
from qwell.doctor.finding import Status
from qwell.doctor.observe import observe, select
from qwell.doctor.system import System
from qwell.lab.lanes import Lanes
from qwell.lab.leftovers import Run
from qwell.lab.patient import Patient
from qwell.lab.ward import Ward

BAD = (Status.WARN, Status.FAIL, Status.ERROR)
# imports packages in a child, asks hubs: the same answer each time, so asked once a situation
SLOW = ("network.hub", "container.published")
MOST_CLIENTS = 3


def healthy_runs(lanes: Lanes, run: Run, n_runs: int) -> tuple[int, list[str]]:
    """How many were done, and every alarm of them in words; each situation in a lane."""
    share = n_runs // len(_SITUATIONS)
    alarms: dict[str, list[str]] = {}

    def look(name: str, ward: Ward) -> None:
        patient = ward.patient("scripted")
        patient.restart()
        with _SITUATIONS[name](patient, run) as system_of:
            alarms[name] = [
                f"{name}: {text}"
                for number in range(share)
                for text in _alarms(system_of(), is_first=number == 0)
            ]

    lanes.abreast(partial(look, name) for name in _SITUATIONS)
    return share * len(_SITUATIONS), [text for name in _SITUATIONS for text in alarms[name]]


def _alarms(system: System, *, is_first: bool) -> list[str]:
    names = [c.id for c in CHECKS if not c.deep and (is_first or _is_quick(c.id, c.layer))]
    findings = observe(system, select(CHECKS, names=names), cap_s=60.0)
    return [f"{f.check}: {f.because} {f.facts()}" for f in findings if f.status in BAD]


def _is_quick(name: str, layer: str) -> bool:
    return layer != "dependency" and not name.startswith(SLOW)


Look = Callable[[], System]


def _settings(patient: Patient, **changes: object) -> Settings:
    return Settings(**(patient.settings | changes))


def _look(patient: Patient, url: str = "", **environ: str) -> Look:
    return lambda: System(_settings(patient), url=url, environ=patient.environ | environ)


@contextmanager
def _fresh(_patient: Patient, run: Run) -> Iterator[Look]:
    """Nothing was ever started here."""
    new = Patient(run, "fresh", engine="scripted")
    yield _look(new)


@contextmanager
def _idle(patient: Patient, _run: Run) -> Iterator[Look]:
    yield _look(patient)


@contextmanager
def _busy(patient: Patient, _run: Run) -> Iterator[Look]:
    """People talk to it all the time."""
    ends = threading.Event()

    def talk() -> None:
        while not ends.is_set():
            patient.chat(", ".join(f"word {n}" for n in range(12)), max_tokens=200)

    people = [threading.Thread(target=talk) for _ in range(MOST_CLIENTS)]
    for person in people:
        person.start()
    try:
        yield _look(patient)
    finally:
        ends.set()
        for person in people:
            person.join()


@contextmanager
def _small(patient: Patient, run: Run) -> Iterator[Look]:
    """One CPU, one conversation, a short context; a proxy that spares this machine."""
    del run
    before = os.sched_getaffinity(0)
    with patient.configured(parallel=1, threads=1, ctx_size=2048):
        os.sched_setaffinity(0, {min(before)})
        try:
            patient.restart()
            spared = {"HTTP_PROXY": "http://192.0.2.1:3128", "NO_PROXY": "localhost,127.0.0.1"}
            yield _look(patient, **spared)
        finally:
            os.sched_setaffinity(0, before)
    patient.restart()


@contextmanager
def _offline(patient: Patient, _run: Run) -> Iterator[Look]:
    """No name can be resolved and no hub answers; the model is here."""

    class Offline(System):
        def resolve(self, host: str) -> list[str]:
            if host in ("127.0.0.1", "localhost"):
                return ["127.0.0.1"]
            raise OSError("Temporary failure in name resolution")

    from qwell.lab.rig.models import write_folder

    settings = _settings(patient, model=str(write_folder(patient.folder / "kept")))
    yield lambda: Offline(settings, environ=patient.environ | {"HF_HUB_OFFLINE": "1"})


@contextmanager
def _behind_a_proxy(patient: Patient, run: Run) -> Iterator[Look]:
    """A pipe that passes everything on, as a load balancer would."""
    from qwell.lab.rig.toxic import toxic

    del run
    with toxic(patient.port) as port:
        yield _look(patient, f"http://127.0.0.1:{port}")


_SITUATIONS = {
    "busy": _busy,  # takes longest, so it begins first
    "fresh": _fresh,
    "idle": _idle,
    "small": _small,
    "offline": _offline,
    "behind a proxy": _behind_a_proxy,
}
