"""The plan follows from the measured rates, and gets worse with every user."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qwell.bench.plan import Box, Plan, simulate, simulate_replicas, users_per_box
from qwell.bench.workload import Workload

BOX = Box(600.0, {1: 80.0, 4: 200.0, 8: 360.0})
WORK = Workload()


def test_rates_between_measured_points_lie_on_a_line() -> None:
    assert [BOX.together(n) for n in (1, 2, 4, 6, 8, 12)] == [80, 120, 200, 280, 360, 360]


def test_a_single_user_sees_the_bare_engine() -> None:
    load = simulate(BOX, WORK, 1)
    assert load.ttft_s == pytest.approx(WORK.prompt_tokens / 600)
    assert load.tok_s == pytest.approx(80)
    turn_s = WORK.prompt_tokens / 600 + (WORK.answer_tokens - 1) / 80
    assert load.busy == pytest.approx(turn_s / (turn_s + WORK.think_s), rel=0.15)


def test_a_full_box_gives_what_it_can_and_no_more() -> None:
    load = simulate(BOX, WORK, 2000)
    at_most = 1 / (WORK.prompt_tokens / WORK.answer_tokens / 600 + 1 / 360)
    assert load.tokens_per_s == pytest.approx(at_most, rel=0.1)
    assert load.busy == pytest.approx(1, abs=0.02)
    assert not load.is_good(WORK)


def test_a_prompt_is_read_in_as_little_of_a_step_as_the_scheduler_allows() -> None:
    """A long one holds the answers up by 0.07 s a step, and takes several of them."""
    long, short = replace(WORK, prompt_tokens=500), replace(WORK, prompt_tokens=5)
    slowest = simulate(BOX, long, 20).tok_s
    assert slowest > 5
    assert simulate(BOX, short, 20).tok_s > slowest
    assert simulate(BOX, long, 20).ttft_s > 500 / 600


def test_the_way_to_the_reader_is_part_of_the_first_token() -> None:
    box = replace(BOX, path_s=[0.5])
    assert simulate(box, WORK, 8).ttft_s == pytest.approx(simulate(BOX, WORK, 8).ttft_s + 0.5)


def test_replicas_share_the_users_as_names_fall() -> None:
    """Together they give what each gives; some are fuller than others, and slower for it."""
    one, two = simulate(BOX, WORK, 20), simulate_replicas(BOX, WORK, 40, 2)
    assert two.tokens_per_s == pytest.approx(2 * one.tokens_per_s, rel=0.15)
    assert two.tok_s < one.tok_s
    assert simulate_replicas(BOX, WORK, 1, 2).tok_s == pytest.approx(80)


def test_the_last_good_load_is_found() -> None:
    load = users_per_box(BOX, WORK)
    assert load.is_good(WORK)
    assert not simulate(BOX, WORK, load.users * 2).is_good(WORK)


def test_a_box_twice_as_fast_serves_more() -> None:
    twice = Box(1200.0, {n: 2 * rate for n, rate in BOX.decode_tok_s.items()})
    assert users_per_box(twice, WORK).users > 1.5 * users_per_box(BOX, WORK).users


def test_boxes_and_cost() -> None:
    plan = Plan.of(BOX, WORK, users=1000, box_per_hour=0.02)
    assert plan.is_good
    assert (plan.boxes - 1) * plan.one_box.users < 1000 <= plan.boxes * plan.one_box.users
    assert plan.cost_per_million_tokens == pytest.approx(
        0.02 * 1e6 / 3600 / plan.one_box.tokens_per_s
    )


def test_a_box_too_slow_for_anybody_says_so() -> None:
    assert not Plan.of(Box(10.0, {1: 2.0}), WORK, users=10, box_per_hour=1.0).is_good


def test_figures_of_the_bench_are_read() -> None:
    figures = {"prefill_tok_s": 600, "batch": {"1": 80, "8": 360}}
    assert Box.of(figures, 4) == Box(600.0, {1: 80.0, 8: 360.0}, 4)
