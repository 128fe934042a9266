"""The worker and its engine: dead, hung, loading, badly sized, with too much to do."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from qwell.lab.case import Effect, Kind, NotInjected, in_turn, injector
from qwell.lab.patient import Patient


@contextmanager
def scripted(patient: Patient, script: str, **settings: object) -> Iterator[Callable[[], None]]:
    """Served by this script and with these settings; gives what takes both back by hand."""
    with ExitStack() as outside, ExitStack() as inside:
        outside.enter_context(patient.stopped())
        inside.enter_context(patient.configured(**settings))
        inside.enter_context(patient.with_environ(QWELL_SCRIPT=script))
        patient.start()

        def take_back() -> None:
            patient.stop()
            inside.close()
            patient.start()

        yield take_back


# ---- alive


@injector("worker-crashed", "segmentation-fault-at-load", quick=True, uses="worker")
def dies_at_load(patient: Patient) -> Iterator[Effect]:
    """The engine dies each time it loads the model."""
    with scripted(patient, '{"load_crash": "SIGSEGV"}') as repaired:
        yield Effect(
            proof=str(patient.facts().get("worker", {}).get("error") or ""),
            trouble=patient.trouble,
            clue="SIGSEGV",
            by_hand=repaired,
        )


@injector("worker-crashed", "killed-in-mid-answer")
def killed(patient: Patient) -> Iterator[Effect]:
    """The worker is ended again and again while it answers."""
    with scripted(patient, '{"crash_after": 3, "signal": "SIGABRT"}') as repaired:

        def trouble() -> str:
            return patient.chat("a question that takes a few words").error

        yield Effect(proof=trouble(), trouble=trouble, clue="SIGABRT", by_hand=repaired)


@injector("model-still-loading", "slow-disk")
def still_loading(patient: Patient) -> Iterator[Effect]:
    """Loading takes long, and somebody asks already."""
    with patient.stopped(), patient.with_environ(QWELL_SCRIPT='{"load_delay_s": 25}'):
        threading.Thread(target=patient.start, daemon=True).start()
        _wait(lambda: patient.state() == "loading", "it never loads")

        def trouble() -> str:
            return f"/ready says: {patient.get('/ready')[1][:80]}" if _loads(patient) else ""

        yield Effect(
            proof=patient.get("/ready")[1][:120],
            trouble=trouble,
            clue="loading",
            by_hand=lambda: _wait(lambda: patient.state() == "ready", "it is never ready"),
        )
        _wait(lambda: patient.state() == "ready", "it is never ready")


def _loads(patient: Patient) -> bool:
    return patient.state() != "ready"


def _wait(is_so: Callable[[], bool], otherwise: str, patience_s: float = 60.0) -> None:
    deadline = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > deadline:
            raise NotInjected(otherwise)
        time.sleep(0.1)


@injector("cancelled-request-keeps-running", "worker-without-a-server", alone=True)
def orphan(patient: Patient) -> Iterator[Effect]:
    """The server was killed while its worker was stopped: the worker stays, with all its memory."""
    with patient.stopped(), ExitStack() as inside:
        patient.start()
        worker = patient.worker_pid()
        os.kill(worker, signal.SIGSTOP)
        inside.callback(_end, worker)
        os.kill(patient.pid, signal.SIGKILL)
        patient.server.wait() if patient.server else None
        patient.start()

        def trouble() -> str:
            return f"an old worker, {worker}, takes memory" if _lives(worker) else ""

        yield Effect(
            proof=f"worker {worker}: parent {_parent(worker)}",
            trouble=trouble,
            clue=str(worker),
            by_hand=lambda: _end(worker),
        )


def _parent(pid: int) -> str:
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    return text.rpartition(") ")[2].split()[1]


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    for _ in range(100):
        if not _lives(pid):
            return
        time.sleep(0.05)


# ---- sizes


def _oversized(fault: str, variant: str, clue: str, who: Kind, **settings: object) -> None:
    """Declare a case of settings that this machine cannot bear; the doctor lowers them."""

    def inject(patient: Patient) -> Iterator[Effect]:
        with patient.restarted(**settings):
            wanted = {name: str(value) for name, value in settings.items()}

            def trouble() -> str:
                now = {name: str(patient.settings.get(name)) for name in wanted}
                lines = [line for line in patient.log.splitlines() if "engine." in line]
                told = lines[0] if lines else f"slower than it could be: {now}"
                return told if now == wanted else patient.trouble()

            yield Effect(proof=str(patient.settings), trouble=trouble, clue=clue)

    inject.__doc__ = f"{settings} on a machine that is smaller than that."
    injector(fault, variant, who=who, quick=True, uses="settings")(inject)


_oversized("thread-oversubscription", "64-threads", "64", "scripted", threads=64)


@injector("thread-oversubscription", "one-cpu-left", programs=("taskset",))
def one_cpu(patient: Patient) -> Iterator[Effect]:
    """Settings of a larger machine, where only one processor may be used."""
    with patient.stopped(), ExitStack() as inside:
        inside.enter_context(patient.configured(threads=2))
        inside.enter_context(patient.within("taskset", "-c", "0"))
        patient.start()
        yield Effect(
            proof=f"allowed: {os.sched_getaffinity(patient.pid)}, threads: 2",
            trouble=lambda: (
                "two threads take turns on one CPU"
                if patient.settings.get("threads") == 2
                else patient.trouble()
            ),
            clue="threads",
        )


@injector("thread-oversubscription", "omp-variable", uses="environ")
def omp_variable(patient: Patient) -> Iterator[Effect]:
    """OMP_NUM_THREADS of another machine."""
    with patient.stopped(), ExitStack() as inside:
        inside.enter_context(patient.with_environ(OMP_NUM_THREADS="48"))
        patient.start()
        yield Effect(
            proof="OMP_NUM_THREADS=48",
            trouble=lambda: (
                "libraries start 48 threads" if "OMP_NUM_THREADS" in patient.environ else ""
            ),
            clue="48",
            by_hand=in_turn(inside.close, patient.restart),
        )


@injector("too-few-threads", "one-of-many", quick=True, uses="settings")
def one_thread(patient: Patient) -> Iterator[Effect]:
    """One compute thread where there are more cores."""
    if len(os.sched_getaffinity(0)) < 2:
        raise NotInjected("this machine has one CPU")
    with patient.restarted(threads=1):
        yield Effect(
            proof=str(patient.facts().get("worker", {}).get("model")),
            trouble=lambda: (
                "half of the machine stands idle" if _n_threads(patient) == 1 else patient.trouble()
            ),
            clue="threads",
            by_hand=lambda: _more_threads(patient),
        )


def _n_threads(patient: Patient) -> int:
    return int(patient.facts().get("worker", {}).get("model", {}).get("n_threads", 0))


def _more_threads(patient: Patient) -> None:
    from qwell.doctor.config_file import write_settings

    write_settings(patient.config, {"threads": 0})
    patient.restart()


# ---- load


@injector("request-queueing", "nine-people-one-place")
def many_people(patient: Patient) -> Iterator[Effect]:
    """More people than it can answer at once."""
    ends = threading.Event()
    with scripted(patient, '{"token_delay_s": 0.2}', parallel=1):

        def talk() -> None:
            while not ends.is_set():
                patient.chat("talk to me for a good while, please", max_tokens=200, timeout_s=120)

        people = [threading.Thread(target=talk, daemon=True) for _ in range(9)]
        for person in people:
            person.start()
        _wait(lambda: _waiting(patient) > 4, "nobody waits")

        def trouble() -> str:
            n = _waiting(patient)
            return f"{n} wait for their turn" if n > 2 else ""

        def leave() -> None:
            ends.set()
            patient.restart()
            for person in people:
                person.join(30)

        try:
            yield Effect(
                proof=f"{_waiting(patient)} requests wait", trouble=trouble, clue="waiting",
                by_hand=leave,
            )  # fmt: skip
        finally:
            leave()


def _waiting(patient: Patient) -> int:
    return int(patient.facts().get("worker", {}).get("waiting", 0))


@injector("kv-cache-disabled", "of-transformers", who="tiny", modules=("torch", "transformers"))
def no_cache(patient: Patient) -> Iterator[Effect]:
    """Every token computes the whole conversation anew."""
    with patient.restarted(engine="transformers", use_cache="off"):

        def trouble() -> str:
            served = patient.facts().get("worker", {}).get("model", {})
            if served.get("use_cache") is False:
                return "each word takes longer than the one before"
            return patient.trouble()

        def enable() -> None:
            from qwell.doctor.config_file import write_settings

            write_settings(patient.config, {"use_cache": "on"})
            patient.restart()

        yield Effect(
            proof=str(patient.facts().get("worker", {}).get("model")),
            trouble=trouble,
            clue="use_cache",
            by_hand=enable,
        )
