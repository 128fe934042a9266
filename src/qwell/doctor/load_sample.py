"""Kernel counters before and after some work, to tell a slow machine from a slow program.

The work is one short answer of the server when it is ready and idle, else a short pause.
Knows how to count; what is too much is decided by the checks.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qwell.doctor.cgroup import Throttling
from qwell.doctor.frozen import why_frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qwell.doctor.answer import Answer, Frame
    from qwell.doctor.system import System

PAUSE_S = 0.2
BUSY_S = 0.5  # five periods of a CPU quota, in which others make the worker compute
BEAT_S, LOOK_S = 1.2, 0.4  # the worker tells every second how it is doing
N_TOKENS = 16
# its greedy answer is the canary: see baseline.py
QUESTION = "Write the numbers from 1 to 20, separated by commas."
_BODY = {
    "messages": [{"role": "user", "content": QUESTION}],
    "sampling": {"temperature": 0},
    "max_tokens": N_TOKENS,
}


@dataclass(frozen=True, slots=True)
class Counters:
    """at_s: monotonic seconds. ticks: CPU time of the machine by kind, from /proc/stat."""

    at_s: float
    ticks: dict[str, int]
    vm: dict[str, int]
    throttling: Throttling | None
    faults: int = 0  # major page faults of the worker


@dataclass(frozen=True, slots=True)
class LoadSample:
    """head and frames: the answer, empty when none was asked for or error says why it failed."""

    before: Counters
    after: Counters
    head: Answer | None = None
    frames: list[Frame] = field(default_factory=list)
    error: str = ""

    def ticks(self, kind: str) -> float:
        """Share of all CPU time that went there, 0 to 1."""
        total = sum(self.after.ticks.values()) - sum(self.before.ticks.values())
        part = self.after.ticks.get(kind, 0) - self.before.ticks.get(kind, 0)
        return part / total if total > 0 else 0.0

    def vm(self, name: str) -> int:
        """How much a counter of /proc/vmstat grew."""
        return self.after.vm.get(name, 0) - self.before.vm.get(name, 0)

    @property
    def throttled(self) -> tuple[int, int]:
        """Scheduler periods in which the worker was stopped, and all in which it wanted to run."""
        if self.before.throttling is None or self.after.throttling is None:
            return 0, 0
        return (
            self.after.throttling.throttled - self.before.throttling.throttled,
            self.after.throttling.periods - self.before.throttling.periods,
        )

    @property
    def major_faults(self) -> int:
        return self.after.faults - self.before.faults

    @property
    def seconds(self) -> float:
        return self.after.at_s - self.before.at_s

    @property
    def events(self) -> list[dict[str, Any]]:
        return [frame.json() for frame in self.frames]

    @property
    def text(self) -> str:
        return "".join(e.get("text", "") for e in self.events if e.get("type") == "delta")

    def last(self, kind: str) -> dict[str, Any]:
        """The last event of a type, empty when there is none."""
        return next((e for e in reversed(self.events) if e.get("type") == kind), {})


def load_sample(system: System) -> LoadSample:
    """One sample for all checks of a run."""
    return system.once("load sample", lambda: take(system))


def take(system: System) -> LoadSample:
    """A new sample."""
    pid = system.facts.get("worker", {}).get("pid") if system.is_near else None
    worker = _after_a_beat(system)
    before = count(system, pid)
    head: Answer | None = None
    frames: list[Frame] = []
    error = ""
    if _is_free(system, worker):
        try:
            body = json.dumps(_BODY).encode()
            head, frames = system.frames("/api/chat", body=body, timeout_s=20.0)
        except OSError as failure:
            error = str(failure)
    else:
        system.pause(BUSY_S if worker.get("running") else PAUSE_S)
    return LoadSample(before, count(system, pid), head, frames, error)


def is_idle(system: System) -> bool:
    """The server could answer at once: asking takes nothing from anybody."""
    return _is_free(system, system.facts.get("worker", {}))


def _is_free(system: System, worker: Mapping[str, Any]) -> bool:
    is_free = not worker.get("running") and not worker.get("waiting")
    return worker.get("phase") == "ready" and is_free and not why_frozen(system)


def _after_a_beat(system: System) -> Mapping[str, Any]:
    """What the worker says when it has had time to say that the last answer is over."""
    worker: Mapping[str, Any] = system.facts.get("worker", {})
    for _ in range(round(BEAT_S / LOOK_S)):
        if not worker.get("running"):
            break
        system.pause(LOOK_S)
        try:
            worker = system.http("/api/doctor/facts").json().get("worker", {})
        except (OSError, ValueError):
            return {}
    return worker


def count(system: System, pid: int | None) -> Counters:
    """The counters now; those of a worker's own where its number is known."""
    first = (system.kernel("/proc/stat") or "").partition("\n")[0].split()
    kinds = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    vm = [line.split() for line in (system.kernel("/proc/vmstat") or "").splitlines()]
    return Counters(
        at_s=time.monotonic(),
        ticks=dict(zip(kinds, map(int, first[1:9]), strict=False)),
        vm={row[0]: int(row[1]) for row in vm if len(row) == 2},
        throttling=system.cgroup(pid).throttling(),
        faults=_major_faults(system, pid),
    )


def _major_faults(system: System, pid: int | None) -> int:
    """Pages that the worker had to read from disk; field 12 of its stat."""
    text = system.kernel(f"/proc/{pid}/stat") if pid else None
    fields = text.rpartition(") ")[2].split() if text else []
    return int(fields[9]) if len(fields) > 9 else 0
