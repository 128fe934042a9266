"""Worker, sizes and speed, as the server reports them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from qwell.doctor.answer import Answer, Frame
from qwell.doctor.load_sample import LoadSample, load_sample

Status = Callable[[str, Any], str]
USUAL = {"tok_s": 40.0, "ttft_ms": 50.0, "n": 5, "answers": ["1, 2, 3"]}


def test_a_healthy_server_raises_nothing(served: Any, status: Status) -> None:
    for name in (
        "worker", "responsive", "stable", "instructions", "accepts_model", "loaded", "load_time",
        "queue", "abandoned", "instruction_set", "fast_cpu", "dtype", "kv_cache", "threads",
        "context", "orphans",
    ):  # fmt: skip
        assert status(f"engine.{name}", served) == "pass", name


@pytest.mark.parametrize(
    ("facts", "check", "expected"),
    [
        ({"phase": "restarting"}, "engine.worker", "fail"),
        (
            {"phase": "failed", "error": {"fault": "worker-crashed", "found": "SIGSEGV"}},
            "engine.worker",
            "fail",
        ),
        (
            {"phase": "failed", "error": {"fault": "cpu-illegal-instruction"}},
            "engine.instructions",
            "fail",
        ),
        (
            {"phase": "failed", "error": {"fault": "weights-truncated", "found": "short"}},
            "engine.accepts_model",
            "fail",
        ),
        ({"phase": "loading", "progress": 0.4}, "engine.loaded", "warn"),
        ({"phase": "idle"}, "engine.loaded", "skip"),
        ({"phase": "loading", "phase_s": 900.0}, "engine.load_time", "fail"),
        ({"waiting": 9}, "engine.queue", "fail"),
        ({"waiting": 3}, "engine.queue", "pass"),
        ({"running": 3}, "engine.abandoned", "fail"),
    ],
)
def test_what_the_worker_reports(
    with_worker: Any, status: Status, facts: dict[str, Any], check: str, expected: str
) -> None:
    assert status(check, with_worker(**facts)) == expected


@pytest.mark.parametrize(
    ("state", "silent_s", "expected"),
    [
        ("S", 0.4, "pass"),
        ("R", 3.0, "pass"),
        ("T", 0.4, "fail"),
        ("t", 0.4, "fail"),
        ("R", 9, "fail"),
    ],
)
def test_a_frozen_worker_is_seen_before_it_is_killed(
    with_worker: Any, status: Status, state: str, silent_s: float, expected: str
) -> None:
    machine = with_worker(pid=77, silent_s=silent_s)
    machine.write("/proc/77/cmdline", "python\0-m\0qwell.worker.process\0--report-fd\x003\0")
    machine.write("/proc/77/stat", f"77 (py) thon) {state} 1 1 1 0 -1")
    assert status("engine.responsive", machine) == expected


def test_a_worker_that_loads_may_be_silent(with_worker: Any, status: Status) -> None:
    assert status("engine.responsive", with_worker(phase="loading", pid=77, silent_s=15)) == "pass"


def test_the_state_of_another_program_with_that_number_tells_nothing(
    with_worker: Any, status: Status
) -> None:
    machine = with_worker(pid=77, silent_s=0.2)
    machine.write("/proc/77/cmdline", "sleep\x009\0")
    machine.write("/proc/77/stat", "77 (sleep) T 1 1 1 0 -1")
    assert status("engine.responsive", machine) == "pass"


@pytest.mark.parametrize(
    ("ages", "expected"),
    [([5.0], "warn"), ([45.0], "pass"), ([5.0, 60.0, 90.0], "fail"), ([700.0, 800, 900], "pass")],
)
def test_deaths_count_while_they_are_fresh(
    with_worker: Any, status: Status, ages: list[float], expected: str
) -> None:
    deaths = [{"ago_s": age, "fault": "worker-crashed", "found": "SIGSEGV"} for age in ages]
    assert status("engine.stable", with_worker(deaths=deaths)) == expected


@pytest.mark.parametrize(
    ("threads", "quota", "expected"),
    [
        (4, None, "pass"),
        (5, None, "fail"),
        (2, "200000 100000", "pass"),
        (3, "200000 100000", "fail"),
        (2, "50000 100000", "skip"),
    ],
)
def test_threads_against_what_may_be_used(
    make_machine: Any, status: Status, threads: int, quota: str | None, expected: str
) -> None:
    machine = make_machine(threads=threads)
    if quota:
        machine.write("/sys/fs/cgroup/cpu.max", quota)
    assert status("engine.threads", machine) == expected


@pytest.mark.parametrize(("threads", "expected"), [(0, "pass"), (3, "pass"), (2, "fail")])
def test_cores_that_stand_idle(
    make_machine: Any, status: Status, threads: int, expected: str
) -> None:
    assert status("engine.threads_few", make_machine(threads=threads)) == expected


def test_omp_num_threads(make_machine: Any, status: Status) -> None:
    assert status("engine.omp_threads", make_machine({"OMP_NUM_THREADS": "4"})) == "pass"
    assert status("engine.omp_threads", make_machine({"OMP_NUM_THREADS": "16"})) == "fail"


def test_a_tiny_context(make_machine: Any, status: Status) -> None:
    assert status("engine.context", make_machine(ctx_size=128)) == "fail"


@pytest.mark.parametrize(
    ("model", "check", "expected"),
    [
        ({"dtype": "float16"}, "engine.dtype", "fail"),
        ({"dtype": "bfloat16"}, "engine.dtype", "pass"),
        ({"use_cache": False}, "engine.kv_cache", "fail"),
    ],
)
def test_how_the_model_is_computed(
    with_worker: Any, status: Status, model: dict[str, Any], check: str, expected: str
) -> None:
    assert status(check, with_worker(model=model)) == expected


def test_portable_kernels_on_a_fast_cpu(with_worker: Any, status: Status) -> None:
    slow = with_worker(model={"isa": "portable"})
    slow.write("/proc/cpuinfo", "flags : sse2 avx2 fma f16c\n")
    assert status("engine.instruction_set", slow) == "warn"


@pytest.mark.parametrize(("why", "expected"), [("no AVX2", "warn"), ("", "pass")])
def test_a_cpu_without_fast_instructions_is_told(
    with_worker: Any, status: Status, why: str, expected: str
) -> None:
    slow = with_worker(model={"isa": "portable", "slow_why": why})
    assert status("engine.fast_cpu", slow) == expected


# ---- speed


def sampled(machine: Any, text: str = "1, 2, 3", **timings: float) -> Any:
    events = [{"type": "delta", "text": text}, {"type": "done", "timings": timings}]
    frames = [Frame(json.dumps(event), 0.1) for event in events]
    before = load_sample(machine).before
    machine.keep("load sample", LoadSample(before, before, Answer(200, {}), frames))
    return machine


@pytest.mark.parametrize(
    ("timings", "speed", "first"),
    [
        ({"tok_s": 38.0, "ttft_ms": 55.0}, "pass", "pass"),
        ({"tok_s": 9.0, "ttft_ms": 60.0}, "fail", "pass"),
        ({"tok_s": 30.0, "ttft_ms": 4000.0}, "pass", "fail"),
    ],
)
def test_speed_against_the_recorded(
    with_facts: Any, status: Status, timings: dict[str, float], speed: str, first: str
) -> None:
    machine = sampled(with_facts(baseline=USUAL), **timings)
    assert status("engine.speed", machine) == speed
    assert status("engine.first_token", machine) == first


def test_what_costs_milliseconds_is_not_called_slow(with_facts: Any, status: Status) -> None:
    machine = sampled(with_facts(baseline={**USUAL, "tok_s": 13_000.0}), tok_s=1_300.0)
    assert status("engine.speed", machine) == "pass"


def test_nothing_recorded_is_nothing_to_compare(with_facts: Any, status: Status) -> None:
    machine = sampled(with_facts(baseline={**USUAL, "n": 2}), tok_s=1.0, ttft_ms=9e4)
    assert status("engine.speed", machine) == "skip"


def test_a_busy_machine_is_not_called_slow(with_facts: Any, status: Status) -> None:
    machine = sampled(with_facts(baseline=USUAL), tok_s=1.0, ttft_ms=9e4)
    machine.write("/proc/loadavg", "30.0 20.0 10.0 1/200 999")
    assert status("engine.speed", machine) == "skip"


def test_another_answer_must_come_twice(with_facts: Any, status: Status) -> None:
    machine = sampled(with_facts(baseline=USUAL), text="!!!!")
    machine.say({"type": "delta", "text": "1, 2, 3"}, {"type": "done"})
    assert status("engine.same_answer", machine) == "pass"
    machine.say({"type": "delta", "text": "!!!!"}, {"type": "done"})
    assert status("engine.same_answer", machine) == "fail"


# ---- the second engine


def test_the_probe_names_its_fault(machine: Any, outcome: Any) -> None:
    error = {"fault": "weights-corrupt", "found": "changed bytes"}
    machine.probes["qwell.worker.probe"] = {"error": error}
    found = outcome("engine.loads", machine)
    assert found.status == "fail"
    assert {e.key: e.value for e in found.evidence}["fault"] == "weights-corrupt"


def test_a_probe_that_dies_is_a_finding(machine: Any, status: Status) -> None:
    machine.probes["qwell.worker.probe"] = {"died": -4, "said": "Illegal instruction"}
    assert status("engine.loads", machine) == "fail"


@pytest.mark.parametrize(("answer", "expected"), [("1, 2, 3", "pass"), ("!!!!", "fail")])
def test_the_canary_is_compared_with_what_was_recorded(
    machine: Any, status: Status, answer: str, expected: str
) -> None:
    from qwell.doctor import baseline

    known = dataclasses.replace(baseline.Baseline(), n=5, answers=("1, 2, 3",))
    baseline.save(machine.settings.data_path, "key", known)
    machine.probes["qwell.worker.probe"] = {"answer": answer, "key": "key"}
    assert status("engine.canary", machine) == expected


def test_a_prompt_that_is_computed_twice(served: Any, status: Status) -> None:
    assert status("engine.prefix_cache", served) == "pass"
    usage = {"prompt_tokens": 40, "cached_tokens": 0}
    served.say({"type": "done", "usage": usage})
    served._kept.pop("second answer")
    assert status("engine.prefix_cache", served) == "fail"


def test_a_worker_left_behind(machine: Any, status: Status) -> None:
    machine.write("/proc/88/cmdline", "python\0-m\0qwell.worker.process\0--report-fd=5\0")
    machine.write("/proc/88/stat", "88 (python) S 1 88 0")
    assert status("engine.orphans", machine) == "fail"
    machine.write("/proc/88/stat", "88 (python) S 77 88 0")
    assert status("engine.orphans", machine) == "pass"
