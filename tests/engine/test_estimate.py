"""Waiting time comes from how long answers took."""

import pytest

from qwell.engine.estimate import WaitEstimate


def test_nothing_is_promised_before_anything_is_known() -> None:
    assert WaitEstimate(2).wait_s(1) is None


def test_position_and_slots_count() -> None:
    estimate = WaitEstimate(2)
    estimate.note(10.0)
    assert estimate.wait_s(1) == pytest.approx(5.0)
    assert estimate.wait_s(4) == pytest.approx(20.0)


def test_newer_answers_move_the_estimate() -> None:
    estimate = WaitEstimate(1)
    for seconds in (10.0, *[2.0] * 40):
        estimate.note(seconds)
    assert estimate.wait_s(1) == pytest.approx(2.0, abs=0.1)
