"""What words suggest, by weights that were learned from many reports (scripts/learn_words.py).

Knows the weights' shape and how a text becomes features; nothing of rules or logs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path

from qwell.doctor.catalogue import load
from qwell.doctor.search_words import concepts_in, terms

PATH = Path(__file__).with_name("learned.json")
NONE = "none"  # the label of texts that report no fault of ours
ENOUGH = 10  # known features
Weights = Mapping[str, Mapping[str, float]]


@cache
def shipped() -> Weights:
    """By feature, then by fault."""
    weights: Weights = json.loads(PATH.read_text(encoding="utf-8"))
    return weights


def features(text: str, concepts: frozenset[str] | None = None) -> frozenset[str]:
    """Words, pairs of English words, pairs of Chinese characters, and #concepts."""
    if concepts is None:
        concepts = concepts_in(text, "", load().concepts)
    words = terms(text)
    pairs = {f"{a} {b}" for a, b in pairwise(words) if (a + b).isascii()}
    return frozenset({*words, *pairs, *(f"#{name}" for name in concepts)})


def rank(wanted: frozenset[str], weights: Weights) -> dict[str, float]:
    """Probabilities of the faults, likeliest first; what is left is that it is none of them."""
    known = [weights[feature] for feature in wanted if feature in weights]
    scale = math.sqrt(max(ENOUGH, len(known)))  # few known words say little
    scores = dict.fromkeys((*load().faults, NONE), 0.0)
    for row in known:
        for fault, weight in row.items():
            scores[fault] += weight / scale
    top = max(scores.values())
    total = sum(math.exp(score - top) for score in scores.values())
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    return {f: math.exp(score - top) / total for f, score in ranked if f != NONE}
