"""Growth, leaks and a late loop are seen; a good run has no problems."""

from collections import Counter
from dataclasses import replace

import pytest

from qwell.bench.load_report import Run, Sample, to_markdown
from qwell.bench.processes import Usage

QUIET = Sample(0.0, Usage(100.0, 10, 4), Usage(800.0, 4, 5), n_tasks=6, n_live=0, n_running=0)
BUSY = Sample(5.0, Usage(110.0, 80, 5), Usage(900.0, 4, 5), n_tasks=200, n_live=64, n_running=8)


def run() -> Run:
    return Run(
        "native",
        64,
        seconds=60.0,
        samples=[BUSY] * 12,
        before=QUIET,
        after=QUIET,
        outcomes=Counter({"stop": 90, "cancelled": 10}),
        lags=Counter({0.001: 800, 0.01: 995, 0.02: 999, 0.05: 1000}),
    )


def test_a_good_run() -> None:
    assert run().all_problems() == []
    assert run().lag_s(0.99) == 0.01
    assert run().lag_s(1) == 0.05


def grown(name: str, mib: float) -> Run:
    late = replace(BUSY, **{name: replace(getattr(BUSY, name), rss_mib=mib)})
    return replace_samples([BUSY] * 9 + [late] * 3)


def replace_samples(samples: list[Sample]) -> Run:
    changed = run()
    changed.samples = samples
    return changed


@pytest.mark.parametrize(
    ("name", "mib", "grew"),
    [("server", 117, False), ("server", 119, True), ("worker", 926, False), ("worker", 928, True)],
)
def test_memory_may_settle_but_not_grow(name: str, mib: float, grew: bool) -> None:
    problems = grown(name, mib).all_problems()
    assert [f"the {name} grew" in problem for problem in problems] == [True] * grew


@pytest.mark.parametrize(
    ("after", "leak"),
    [
        (replace(QUIET, n_live=1), "live answers: 0, then 1"),
        (replace(QUIET, n_running=1), "running answers: 0, then 1"),
        (replace(QUIET, n_tasks=11), "tasks: 6, then 11"),
        (replace(QUIET, server=Usage(100, 15, 4)), "open files of the server: 10, then 15"),
        (replace(QUIET, worker=Usage(800, 5, 5)), "open files of the worker: 4, then 5"),
        (replace(QUIET, worker=Usage(800, 4, 6)), "threads of the worker: 5, then 6"),
    ],
)
def test_a_leak_is_named(after: Sample, leak: str) -> None:
    leaking = run()
    leaking.after = after
    assert leaking.all_problems() == [leak]


def test_a_late_loop_is_a_problem() -> None:
    late = run()
    late.lags = Counter({0.02: 900, 0.05: 1000})
    assert "late by up to 0.050 s" in late.all_problems()[0]


def test_the_page_says_it_all() -> None:
    page = to_markdown([run()])
    assert "Engine native: 64 clients for 60 s" in page
    assert "| memory of the worker, MiB | 800 | 900 | 900 | 800 |" in page
    assert "99 of 100 were late by at most 10 ms" in page
    assert "Problems: none" in page
