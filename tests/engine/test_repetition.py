"""The guard ends loops, and leaves ordinary repetition alone."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwell.engine.repetition import LONGEST_PHRASE, MIN_REPEATS, MIN_SPAN, LoopGuard


def first_alarm(tokens: list[int]) -> int | None:
    """How many tokens it took to notice, or None."""
    guard = LoopGuard()
    return next((n for n, token in enumerate(tokens, 1) if guard.push(token)), None)


@pytest.mark.parametrize("length", [1, 2, 7, 40, 41, 200, LONGEST_PHRASE])
def test_a_loop_of_any_length_is_noticed_as_soon_as_it_is_certain(length: int) -> None:
    phrase = list(range(1000, 1000 + length))
    lead = list(range(50))
    expected = max(MIN_SPAN, MIN_REPEATS * length)
    assert first_alarm(lead + phrase * 200) == len(lead) + expected


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_every_endless_phrase_is_noticed(phrase: list[int]) -> None:
    assert first_alarm(phrase * MIN_SPAN) is not None


def test_an_emphatic_laugh_is_no_loop() -> None:
    assert first_alarm([ord(letter) for letter in "哈哈哈哈" * 10]) is None


def tokens_of(text: str) -> list[int]:
    return [hash(word) for word in text.replace("|", " | ").split(" ")]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\n".join(f"| {i} | yes | yes | no |" for i in range(200)), id="table"),
        pytest.param("| --- " * 20 + "|\n" + "| a " * 20, id="wide table"),
        pytest.param("\n".join(f"{i} . item" for i in range(300)), id="list"),
        pytest.param("\n".join(f"    x [ {i} ] = {i} ;" for i in range(200)), id="code"),
        pytest.param("for i in range ( 10 ) :\n    print ( i )\n" * 3, id="copied code"),
        pytest.param("Row , row , row your boat , gently down the stream . " * 3, id="song"),
    ],
)
def test_ordinary_repetition_is_no_loop(text: str) -> None:
    assert first_alarm(tokens_of(text)) is None


def test_random_tokens_are_no_loop() -> None:
    numbers = random.Random(1)
    assert first_alarm([numbers.randrange(3) for _ in range(5000)]) is None
