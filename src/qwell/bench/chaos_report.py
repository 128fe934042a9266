"""What a run of chaos saw, and that as a page. Knows nothing of how it was done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

_PAGE = """# Chaos

Written by `make chaos`: `python -m qwell.bench.chaos --events {n_events} --seed {seed}`.

{n_clients} clients asked {n_questions} questions over four transports for {seconds:.0f} s, while
{n_events} things happened to them and to the worker process:

| what happened | times |
|---|---:|
{done}

The worker was started again {restarts} times. From a signal to a worker that answers took
{median_s:.2f} s in the middle and {longest_s:.2f} s at most; a frozen worker (SIGSTOP) is noticed
by its silence, after {silence_s:.0f} s in this run. {n_retries} answers that had ended with an
error were asked for again; every question was answered, but for those that its client had stopped
or left.

| transport: how answers ended | times |
|---|---:|
{outcomes}

## Broken promises

{problems}

Checked for each answer: numbered without a gap, exactly one terminal event, errors with code
and fix, a text that is the right one or a beginning of it, an end within {limit_s:.0f} s.
Afterwards: the store holds the question and exactly the text that was shown, for each of the
{n_stored} answers that were asked for over the page's transports; every transport answers; nothing
runs or waits; no process and no open file is left.
"""


@dataclass(slots=True)
class Report:
    """What happened. problems: every broken promise in words; a good run has none."""

    seed: int
    done: Counter[str] = field(default_factory=Counter)  # planned events that took place
    outcomes: Counter[str] = field(default_factory=Counter)  # by transport and end
    problems: list[str] = field(default_factory=list)
    recoveries_s: list[float] = field(default_factory=list)  # from a kill to ready
    n_questions: int = 0
    n_retries: int = 0
    n_stored: int = 0  # answers compared with what the store holds
    restarts: int = 0
    seconds: float = 0.0

    @property
    def n_events(self) -> int:
        return sum(self.done.values())


@dataclass(frozen=True, slots=True)
class Facts:
    """How the run was set up, as far as the page says it."""

    kills: tuple[str, ...]
    disturbances: tuple[str, ...]
    n_clients: int
    limit_s: float
    silence_s: float


def to_markdown(report: Report, facts: Facts) -> str:
    recoveries = sorted(report.recoveries_s) or [0.0]
    names = (*facts.kills, *facts.disturbances)
    return _PAGE.format(
        n_events=report.n_events,
        seed=report.seed,
        n_clients=facts.n_clients,
        n_questions=report.n_questions,
        seconds=report.seconds,
        done=_rows((name, report.done[name]) for name in names),
        restarts=report.restarts,
        median_s=recoveries[len(recoveries) // 2],
        longest_s=recoveries[-1],
        silence_s=facts.silence_s,
        n_retries=report.n_retries,
        n_stored=report.n_stored,
        outcomes=_rows(sorted(report.outcomes.items())),
        problems="\n".join(f"- {problem}" for problem in report.problems or ["none"]),
        limit_s=facts.limit_s,
    )


def _rows(items: Iterable[tuple[str, int]]) -> str:
    return "\n".join(f"| {name} | {n} |" for name, n in items)
