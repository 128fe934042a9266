"""The plan's prediction and what is measured are put side by side, in the same units."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qwell.bench.plan import Load
from qwell.bench.plan_check import Answer, _load, differences, table

ANSWER = Answer(
    asked=1.0,
    began=1.5,
    ended=2.5,
    tokens=11,
    prompt_tokens=60,
    prefill_s=0.2,
    engine_ttft_s=0.3,
)


def asked_at(t: float) -> Answer:
    return replace(ANSWER, asked=t, began=t + 0.2, ended=t + 2.2, tokens=21)


def test_what_a_reader_sees_of_an_answer() -> None:
    assert (ANSWER.ttft_s, ANSWER.tok_s) == (0.5, 10.0)
    assert ANSWER.path_s == pytest.approx(0.2)


def test_tokens_count_when_they_come() -> None:
    assert ANSWER.tokens_within(0, 9) == 11
    assert ANSWER.tokens_within(2.0, 9) == 5.5
    assert ANSWER.tokens_within(3.0, 9) == 0


def test_answers_that_go_on_beyond_the_end_are_neither_lost_nor_whole() -> None:
    """With one that begins every second and lasts two, there are always two that come."""
    load = _load(4, [asked_at(t) for t in range(30)], 10.0, 20.0)
    assert load.tokens_per_s == pytest.approx(21.0)
    assert load.tok_s == pytest.approx(10.0)
    assert load.ttft_s == pytest.approx(0.2)


def test_an_error_is_a_share_of_what_was_measured() -> None:
    found = differences(Load(4, 0.1, 30.0, 0.5, 300.0), Load(4, 0.2, 20.0, 0.5, 300.0))
    assert found["ttft_s"] == (0.1, 0.2, -0.5)
    assert found["tok_s"] == (30.0, 20.0, 0.5)
    assert found["tokens_per_s"] == (300.0, 300.0, 0.0)
    assert len(list(table(found))) == 4
