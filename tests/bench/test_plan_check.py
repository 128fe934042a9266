"""The plan's prediction and what is measured are put side by side, in the same units."""

from __future__ import annotations

import pytest

from qwell.bench.plan import Box, simulate
from qwell.bench.plan_check import Answer, _load, differences, predict, table
from qwell.bench.workload import Workload

BOX = Box(600.0, {1: 80.0, 4: 200.0, 8: 360.0})
WORK = Workload(answer_tokens=50, think_s=5.0)


def test_what_a_reader_sees_of_an_answer() -> None:
    answer = Answer(asked=1.0, began=1.5, ended=2.5, tokens=11, prompt_tokens=60)
    assert (answer.ttft_s, answer.tok_s) == (0.5, 10.0)


def test_replicas_share_the_users() -> None:
    one, two = simulate(BOX, WORK, 6), predict(BOX, WORK, 12, 2)
    assert two.tokens_per_s == pytest.approx(2 * one.tokens_per_s)
    assert (two.tok_s, two.ttft_s, two.users) == (one.tok_s, one.ttft_s, 12)
    odd = predict(BOX, WORK, 11, 2)
    assert odd.tok_s == min(one.tok_s, simulate(BOX, WORK, 5).tok_s)


def test_an_error_is_a_share_of_what_was_measured() -> None:
    answers = [Answer(t, t + 0.2, t + 2.2, 21, 60) for t in range(10)]
    measured = _load(4, answers, 10.0)
    assert measured.tokens_per_s == 21.0
    assert measured.tok_s == pytest.approx(10.0)
    found = differences(predict(BOX, WORK, 4, 2), measured)
    predicted, real, error = found["tokens_per_s"]
    assert error == pytest.approx(predicted / real - 1)
    assert len(list(table(found))) == 4
