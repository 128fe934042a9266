"""Which choice a person's own words mean."""

from __future__ import annotations

import pytest

from qwell.doctor.catalogue import load
from qwell.doctor.free_text import chosen
from qwell.doctor.question_bank import ask_for_log, ask_outcome, ask_where, ask_whether

WHETHER = ask_whether(load().faults["disk-full"])


@pytest.mark.parametrize(
    ("said", "choice"),
    [
        ("yes", "yes"), ("Yes.", "yes"), ("是的", "yes"), ("没有", "no"), ("no", "no"), ("2", "no"),
        ("第3个", "unsure"), ("不知道", "unsure"), ("I don't know", "unsure"), ("9", ""),
        ("yes, since the last upgrade of nginx", ""), ("maybe", ""), ("", ""),
        ("yes\nno", ""),
    ],
)  # fmt: skip
def test_yes_and_no(said: str, choice: str) -> None:
    assert chosen(said, WHETHER) == choice


@pytest.mark.parametrize(
    ("said", "choice"),
    [
        ("好了", "works"),
        ("it works now!", "works"),
        ("还是不行。", "still_broken"),
        ("skip", "decline"),
    ],
)
def test_how_it_went(said: str, choice: str) -> None:
    assert chosen(said, ask_outcome()) == choice


def test_only_choices_of_the_question_count() -> None:
    assert chosen("没有日志", ask_for_log()) == "no_log"
    assert chosen("没有日志", WHETHER) == ""
    assert chosen("It works, but answers are slow", ask_where()) == "slow"
