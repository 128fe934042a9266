"""What a run of load saw, what is wrong with it, and both as a page."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from qwell.bench.processes import CpuTimes, Usage

LAG_P99_S = 0.02
GROWTH = 0.03  # of memory between the second and the last quarter of a run, and
GROWTH_MIB = 8.0  # what a page cache, a memo or the allocator may move at any size
SPARE_TASKS, SPARE_FDS = 4, 4  # connections that are still closing
SPARE_THREADS = min(32, (os.cpu_count() or 1) + 4)  # the event loop's pool, filled on first use

_PAGE = """# Soak

Written by `python -m qwell.bench.load`. A server and its worker as `qwell serve` starts them;
clients that ask one question after the other over four transports, of whom one in ten stops the
answer, one in twenty drops the connection and resumes, and one in twenty leaves for good.

{runs}"""

_RUN = """## Engine {engine}: {n_clients} clients for {seconds:.0f} s

{n_answers} answers, {rate:.1f} a second, {chars:.0f} characters a second.

| | before | second quarter | last quarter | after |
|---|---:|---:|---:|---:|
{rows}

Event loop: of {n_lags} timers, 99 of 100 were late by at most {p99_ms:.0f} ms, all by at most
{max_ms:.0f} ms. Its thread ran for {ran:.0%} of the time, and for {waited:.0%} waited for a
processor that others had.

How answers ended: {outcomes}.

Problems: {problems}
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at both processes."""

    at_s: float
    server: Usage
    worker: Usage
    n_tasks: int
    n_live: int
    n_running: int


@dataclass(slots=True)
class Run:
    """lags: how many timers were late by at most so many seconds; cumulated.

    loop_cpu: of the thread that runs the event loop, during the run.
    """

    engine: str
    n_clients: int
    seconds: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    before: Sample | None = None
    after: Sample | None = None
    outcomes: Counter[str] = field(default_factory=Counter)
    n_chars: int = 0
    lags: Counter[float] = field(default_factory=Counter)
    loop_cpu: CpuTimes = field(default_factory=lambda: CpuTimes(0, 0))
    problems: list[str] = field(default_factory=list)

    def quarter(self, number: int) -> list[Sample]:
        """The samples of one quarter of the run, 0 to 3; at least one."""
        n = len(self.samples)
        start, end = n * number // 4, n * (number + 1) // 4
        return self.samples[start : max(end, start + 1)]

    def lag_s(self, share: float) -> float:
        """The bound below which this share of the timers was late."""
        total = max(self.lags.values(), default=0)
        return min((b for b, n in self.lags.items() if n >= share * total), default=0.0)

    def all_problems(self) -> list[str]:
        """Broken promises of answers, growth, leaks and a late loop."""
        found = list(self.problems)
        for name in ("server", "worker"):
            early, late = (_memory(self.quarter(q), name) for q in (1, 3))
            if late - early > max(GROWTH * early, GROWTH_MIB):
                found.append(f"the {name} grew from {early:.0f} to {late:.0f} MiB")
        if self.lag_s(0.99) > LAG_P99_S:
            found.append(f"the event loop was late by up to {self.lag_s(0.99):.3f} s (p99)")
        return found + self._leaks()

    def _leaks(self) -> list[str]:
        before, after = self.before, self.after
        assert before is not None, "the run has not begun"
        assert after is not None, "the run has not ended"
        pairs = {
            "live answers": (before.n_live, after.n_live, 0),
            "running answers": (before.n_running, after.n_running, 0),
            "tasks": (before.n_tasks, after.n_tasks, SPARE_TASKS),
            "open files of the server": (before.server.n_fds, after.server.n_fds, SPARE_FDS),
            "open files of the worker": (before.worker.n_fds, after.worker.n_fds, 0),
            "threads of the server": (
                before.server.n_threads,
                after.server.n_threads,
                SPARE_THREADS,
            ),
            "threads of the worker": (before.worker.n_threads, after.worker.n_threads, 0),
        }
        return [f"{name}: {a}, then {b}" for name, (a, b, spare) in pairs.items() if b > a + spare]


def _memory(samples: Sequence[Sample], name: str) -> float:
    uses: list[Usage] = [getattr(sample, name) for sample in samples]
    return median(use.rss_mib for use in uses)


def to_markdown(runs: Sequence[Run]) -> str:
    return _PAGE.format(runs="\n".join(map(_section, runs)))


def _section(run: Run) -> str:
    assert run.before is not None, "the run has not begun"
    assert run.after is not None, "the run has not ended"
    columns = [[run.before], run.quarter(1), run.quarter(3), [run.after]]
    n_answers = sum(run.outcomes.values())
    return _RUN.format(
        engine=run.engine,
        n_clients=run.n_clients,
        seconds=run.seconds,
        n_answers=n_answers,
        rate=n_answers / run.seconds,
        chars=run.n_chars / run.seconds,
        rows="\n".join(_rows(columns)),
        n_lags=max(run.lags.values(), default=0),
        p99_ms=1e3 * run.lag_s(0.99),
        max_ms=1e3 * run.lag_s(1),
        ran=run.loop_cpu.ran_s / run.seconds,
        waited=run.loop_cpu.waited_s / run.seconds,
        outcomes=", ".join(f"{name} {n}" for name, n in run.outcomes.most_common()),
        problems="; ".join(run.all_problems()) or "none",
    )


def _rows(columns: Sequence[Sequence[Sample]]) -> list[str]:
    readings = {
        "memory of the server, MiB": lambda s: s.server.rss_mib,
        "memory of the worker, MiB": lambda s: s.worker.rss_mib,
        "open files of the server": lambda s: s.server.n_fds,
        "open files of the worker": lambda s: s.worker.n_fds,
        "threads of the server": lambda s: s.server.n_threads,
        "threads of the worker": lambda s: s.worker.n_threads,
        "tasks of the event loop": lambda s: s.n_tasks,
        "live answers": lambda s: s.n_live,
        "running answers": lambda s: s.n_running,
    }
    return [
        f"| {name} | " + " | ".join(f"{median(map(read, c)):.0f}" for c in columns) + " |"
        for name, read in readings.items()
    ]
