"""A made-up machine: the kernel's files, a model and a server, each as a test wants it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from qwell.config import Settings
from qwell.doctor.answer import Answer, Frame
from qwell.doctor.checks import CHECKS
from qwell.doctor.finding import Outcome
from qwell.doctor.system import System

MEMINFO = "MemTotal: 8000000 kB\nMemFree: 6000000 kB\nMemAvailable: 6000000 kB\n"
STAT = "cpu  100 0 50 1000 0 0 0 0 0 0\n"
DONE = {"type": "done", "reason": "stop", "usage": {"prompt_tokens": 20, "cached_tokens": 18}}
FACTS: dict[str, Any] = {
    "name": "qwell",
    "pid": 4321,
    "worker": {
        "phase": "ready", "phase_s": 9.0, "progress": 1.0, "pid": None, "restarts": 0,
        "running": 0, "waiting": 0, "error": None, "deaths": [],
        "model": {"name": "tiny", "isa": "avx2", "n_ctx": 4096, "n_slots": 2, "n_threads": 1},
    },
    "answers_live": 0, "answers": 0, "reasons": {}, "notices": {}, "baseline": {},
    "loop_lag_ms": 1.0, "posted": [], "store": {"error": None},
}  # fmt: skip


class Machine(System):
    """Nothing of it reaches the network; what is not made up is not there."""

    def __init__(self, root: Path, settings: Settings, environ: Mapping[str, str], **options: Any):
        super().__init__(settings, root=root, environ=environ, **options)
        self.answers: dict[str, Answer] = {}
        self.frame_lists: dict[str, list[Frame]] = {}
        self.names: dict[str, list[str]] = {"127.0.0.1": ["127.0.0.1"]}
        self.connections: dict[tuple[str, int], str] = {}
        self.probes: dict[str, dict[str, Any]] = {}
        self.programs: dict[str, tuple[int, str]] = {}
        self.clock = 1_800_000_000.0
        self.denied: set[Path] = set()

    def write(self, path: str, text: str) -> None:
        """A file of the kernel."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def serve(self, path: str, body: Any = None, status: int = 200, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        self.answers[path] = Answer(status, headers, raw, 1.0)

    def say(self, *events: dict[str, Any]) -> None:
        """What /api/chat answers."""
        self.frame_lists["/api/chat"] = [
            Frame(json.dumps(event), 0.01 * i) for i, event in enumerate(events)
        ]

    def http(self, path: str, **_options: Any) -> Answer:
        if path not in self.answers:
            raise ConnectionRefusedError(path)
        return self.answers[path]

    def frames(self, path: str, **_options: Any) -> tuple[Answer, list[Frame]]:
        name = path.partition("?")[0]
        if name not in self.frame_lists:
            raise ConnectionResetError(path)
        return self.answers.get(name, Answer(200, {})), self.frame_lists[name]

    def handshake(self, path: str, timeout_s: float = 3.0) -> Answer:
        return self.http(path)

    def resolve(self, host: str) -> list[str]:
        if host not in self.names:
            raise OSError(f"unknown name {host}")
        return self.names[host]

    def connect(self, host: str, port: int, timeout_s: float = 3.0) -> str:
        return self.connections.get((host, port), "refused")

    def probe(self, module: str, *_arguments: str, timeout_s: float = 30.0) -> dict[str, Any]:
        return self.probes.get(module, {"failures": {}})

    def program(self, *command: str, timeout_s: float = 5.0) -> tuple[int, str]:
        return self.programs.get(command[0], (127, "not found"))

    def can(self, path: Path, mode: int) -> bool:
        return path not in self.denied

    def usable_cpus(self) -> int:
        return 4

    def now(self) -> float:
        return self.clock

    def pause(self, seconds: float) -> None:
        """Time does not pass here."""


@pytest.fixture
def make_machine(tmp_path: Path) -> Callable[..., Machine]:
    """A healthy machine with these settings, without a server."""

    def make(environ: Mapping[str, str] | None = None, url: str = "", **settings: Any) -> Machine:
        folders = {"data_dir": str(tmp_path / "data"), "cache_dir": str(tmp_path / "cache")}
        variables = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), **(environ or {})}
        made = Machine(tmp_path / "root", Settings(**folders, **settings), variables, url=url)
        made.write("/proc/meminfo", MEMINFO)
        made.write("/proc/stat", STAT)
        made.write(
            "/proc/self/limits", "Max open files            1024         4096         files\n"
        )
        made.write("/proc/self/cgroup", "0::/\n")
        return made

    return make


@pytest.fixture
def machine(make_machine: Callable[..., Machine]) -> Machine:
    return make_machine()


@pytest.fixture
def served(machine: Machine) -> Machine:
    """The same with a healthy server of ours."""
    machine.serve("/health", {"status": "ok"})
    machine.serve("/version", {"name": "qwell", "version": "1"})
    machine.serve("/ready", {"status": "ready"})
    machine.serve("/v1/models", {"data": [{"id": "tiny"}]})
    machine.serve("/api/doctor/facts", FACTS)
    machine.say({"type": "queued"}, {"type": "delta", "text": "1, 2, 3"}, DONE)
    return machine


@pytest.fixture
def with_worker(served: Machine) -> Callable[..., Machine]:
    """The server reports these facts of its worker."""

    def change(**facts: Any) -> Machine:
        served.serve("/api/doctor/facts", FACTS | {"worker": FACTS["worker"] | facts})
        return served

    return change


@pytest.fixture
def with_facts(served: Machine) -> Callable[..., Machine]:
    def change(**facts: Any) -> Machine:
        served.serve("/api/doctor/facts", FACTS | facts)
        return served

    return change


@pytest.fixture
def outcome() -> Callable[[str, System], Outcome]:
    """Of one check alone, without what it needs."""
    return lambda name, system: CHECKS[name].run(system)


@pytest.fixture
def status(outcome: Callable[[str, System], Outcome]) -> Callable[[str, System], str]:
    return lambda name, system: outcome(name, system).status.value
