"""Learned weights: their file, what a text becomes, and what kind of text it is."""

from __future__ import annotations

import math

from qwell.doctor.catalogue import load
from qwell.doctor.learned import (
    NONE,
    PATH,
    UNKNOWN,
    Weights,
    features,
    from_bytes,
    novelty,
    rank,
    shipped,
    to_bytes,
)
from qwell.doctor.read import read

SMALL = Weights(
    ("disk-full", "none"),
    (0.25, -0.5),
    0.5,
    {"磁盘": 0, "hello": 1},
    [2.0, 1.0],
    [0, 2, 3],
    [0, 1, 1],
    [3, -2, 4],
)
LARGEST = 1_500_000  # bytes


def test_the_file_keeps_what_was_learned() -> None:
    again = from_bytes(to_bytes(SMALL))
    assert again.scores({"磁盘"}) == SMALL.scores({"磁盘"}) == [1.75, -1.5]
    assert again.scores({"unheard of"}) == [0.25, -0.5]
    assert tuple(again.labels) == SMALL.labels


def test_the_shipped_file_knows_every_fault_and_is_small() -> None:
    assert set(shipped().labels) == {*load().faults, NONE, UNKNOWN}
    assert PATH.stat().st_size < LARGEST


def test_probabilities_add_up() -> None:
    ranked = rank(features(read("磁盘满了，写不进去")), shipped())
    assert math.isclose(sum(map(math.exp, ranked.values())), 1.0)
    assert max(ranked, key=lambda label: ranked[label]) == "disk-full"


def test_features_tell_words_from_logs() -> None:
    said = features(read("It stops in the middle of an answer."))
    logged = features(read("2024-05-01 10:00:00 ERROR upstream timed out"))
    assert {"@prose", "@complains"} <= said
    assert {"@log only", "@trouble", "timed out"} & logged >= {"@log only", "@trouble"}
    assert "@log" not in said


def test_only_words_beyond_the_usual_are_new() -> None:
    assert novelty(frozenset({"hello", "@prose", "#disk", "hello there"}), SMALL) == 0
    assert novelty(frozenset(), SMALL) == 0
    half = novelty(frozenset({"hello", "quetzal"}), SMALL)
    whole = novelty(frozenset({"quetzal", "axolotl"}), SMALL)
    assert 0.4 < half < 0.5 < whole < 1
    # runs of Chinese characters are oftener new than words
    assert 0 < novelty(frozenset({"水獭", "海牛"}), SMALL) < whole


def test_numbers_that_mean_something_are_kept_and_others_are_not() -> None:
    found = features(read("exited with code 137 after 1234567 ms"))
    assert "137" in found
    assert "1234567" not in found
