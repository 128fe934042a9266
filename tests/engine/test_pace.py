"""Steps stay as short as was asked, on machines of any speed that change their speed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwell.engine.pace import LEAST, Pace

LIMIT_S, MOST = 0.1, 512


@given(
    base_s=st.floats(0.001, 0.05),
    token_s=st.floats(1e-4, 0.02),
    n_before=st.integers(0, 5),
)
def test_after_one_measurement_steps_are_as_long_as_asked(
    base_s: float, token_s: float, n_before: int
) -> None:
    pace = Pace()
    for _ in range(40):
        pace.note(0, base_s)
    for _ in range(n_before + 1):
        n = pace.tokens_within(LIMIT_S, MOST)
        assert LEAST <= n <= MOST
        pace.note(n, base_s + n * token_s)
    n = pace.tokens_within(LIMIT_S, MOST)
    took_s = base_s + n * token_s
    assert took_s <= LIMIT_S * 1.01 or n == LEAST
    assert took_s >= LIMIT_S * 0.5 - token_s or n == MOST


def test_a_machine_that_becomes_slow_is_believed_at_once_and_a_fast_one_slowly() -> None:
    pace = Pace()
    pace.note(100, 0.1)
    n = pace.tokens_within(LIMIT_S, MOST)
    pace.note(100, 0.3)
    slower = pace.tokens_within(LIMIT_S, MOST)
    assert slower < n / 2
    pace.note(100, 0.1)
    assert slower < pace.tokens_within(LIMIT_S, MOST) < n


def test_few_tokens_say_nothing_about_one() -> None:
    pace = Pace()
    before = pace.tokens_within(LIMIT_S, MOST)
    pace.note(2, 5.0)
    assert pace.tokens_within(LIMIT_S, MOST) == before


def test_every_prompt_comes_forward_on_a_machine_without_any_speed() -> None:
    pace = Pace()
    pace.note(100, 1e6)
    assert pace.tokens_within(LIMIT_S, MOST) == LEAST


def test_without_a_limit_a_step_is_as_large_as_it_may_be() -> None:
    pace = Pace()
    pace.note(100, 1e6)
    assert pace.tokens_within(float("inf"), MOST) == MOST
    assert pace.tokens_within(LIMIT_S, 3) == pytest.approx(3)
