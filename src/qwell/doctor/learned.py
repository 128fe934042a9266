"""What a text suggests, by weights that were learned from many reports (scripts/learn_words.py).

Knows how a text becomes features, the file of weights, and how features become probabilities;
nothing of rules or signatures.
"""

from __future__ import annotations

import json
import math
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from qwell.doctor.catalogue import load
from qwell.doctor.read import HARMLESS, Reading
from qwell.doctor.search_words import concepts_in, pieces, tells
from qwell.doctor.wording import (
    asks,
    complains,
    is_of_our_field,
    is_ordinary,
    says_it_works,
    shows_trouble,
)

PATH = Path(__file__).with_name("learned.bin")
NONE, UNKNOWN = "none", "unknown"  # labels: nothing is wrong; a fault, but none of the catalogue
SHARPNESS = 4.0  # of probabilities, by cross-validation
FEW_LETTERS = 12
# share of the words, and of the runs of Chinese characters, of a report on a fault of the catalogue
# that no report of another project has
NEW_WORDS, NEW_CHINESE = 0.08, 0.3


@dataclass(frozen=True, slots=True)
class Weights:
    """One linear score per label.

    base   of each label, before any feature
    rare   by feature, how much it counts in a text
    rows   by feature: (label, weight) one after the other, weights in units of `unit`
    """

    labels: tuple[str, ...]
    base: tuple[float, ...]
    unit: float
    index: Mapping[str, int]
    rare: Sequence[float]
    ends: Sequence[int]
    which: Sequence[int]
    weights: Sequence[int]

    def scores(self, wanted: Iterable[str]) -> list[float]:
        """By label, in their order."""
        known = [self.index[feature] for feature in wanted if feature in self.index]
        length = math.sqrt(sum(self.rare[i] ** 2 for i in known)) or 1.0
        scores = list(self.base)
        for i in known:
            share = self.rare[i] / length * self.unit
            for at in range(self.ends[i], self.ends[i + 1]):
                scores[self.which[at]] += share * self.weights[at]
        return scores


@cache
def shipped() -> Weights:
    """Those beside this file."""
    return from_bytes(PATH.read_bytes())


def from_bytes(content: bytes) -> Weights:
    """The inverse of `to_bytes`."""
    head, _, rest = content.partition(b"\n")
    names, _, rest = rest.partition(b"\n\n")
    about = json.loads(head)
    features = names.decode().split("\n")
    columns = []
    for code, length in zip(
        "fIBb", (*[len(features)], len(features) + 1, *about["n"]), strict=True
    ):
        column = array(code)
        column.frombytes(rest[: length * column.itemsize])
        rest = rest[length * column.itemsize :]
        if sys.byteorder == "big":
            column.byteswap()
        columns.append(column)
    index = {name: i for i, name in enumerate(features)}
    return Weights(tuple(about["labels"]), tuple(about["base"]), about["unit"], index, *columns)


def to_bytes(weights: Weights) -> bytes:
    """A line of JSON, the features, an empty line, and four columns in little-endian order."""
    about = {
        "labels": weights.labels,
        "base": [round(value, 4) for value in weights.base],
        "unit": weights.unit,
        "n": [len(weights.which), len(weights.weights)],
    }
    columns = [
        array(code, column)
        for code, column in zip(
            "fIBb", (weights.rare, weights.ends, weights.which, weights.weights), strict=True
        )
    ]
    if sys.byteorder == "big":
        for column in columns:
            column.byteswap()
    head = json.dumps(about, ensure_ascii=False) + "\n" + "\n".join(weights.index) + "\n\n"
    return head.encode() + b"".join(column.tobytes() for column in columns)


def features(reading: Reading) -> frozenset[str]:
    """Words, pairs of words, runs of Chinese characters, #concepts, and @what kind of text."""
    return frozenset({*_spelled(reading.gist), *_concepts(reading), *_kind(reading)})


def _spelled(text: str) -> set[str]:
    found: set[str] = set()
    for run in pieces(text):
        found.update(filter(tells, run))
        if run and run[0].isascii():
            found.update(f"{a} {b}" for a, b in pairwise(run))
    return found


def _concepts(reading: Reading) -> set[str]:
    known = load()
    return {
        f"#{name}" for name in concepts_in(reading.gist, "", known.concepts, known.anchors_in_words)
    }


def _kind(reading: Reading) -> set[str]:
    """What a text is like, whatever it is about."""
    prose = reading.prose.strip()
    in_log = shows_trouble(reading.gist)
    kinds = {
        "@log": reading.has_log,
        "@prose": bool(prose),
        "@log only": reading.has_log and not prose,
        "@ordinary": is_ordinary(reading.gist),
        "@works": says_it_works(prose),
        "@complains": complains(prose),
        "@field": is_of_our_field(prose),
        "@asks": asks(prose),
        "@short": len(prose) < FEW_LETTERS,
        "@trouble": reading.has_log and in_log,
        "@no trouble": reading.has_log and not in_log,
        "@clean log": reading.has_log and not prose and not in_log,
    }
    harmless = {f"@{f.check}" for f in reading.findings if f.check.startswith(HARMLESS)}
    return {kind for kind, holds in kinds.items() if holds} | harmless


def rank(wanted: frozenset[str], weights: Weights) -> dict[str, float]:
    """Logarithms of probabilities, by label."""
    scores = [SHARPNESS * score for score in weights.scores(sorted(wanted))]
    top = max(scores)
    total = math.log(sum(math.exp(score - top) for score in scores)) + top
    return {label: score - total for label, score in zip(weights.labels, scores, strict=True)}


def novelty(wanted: frozenset[str], weights: Weights) -> float:
    """Share of a text's words that nothing learned from has, beyond what is usual; 0 to 1."""
    words = [feature for feature in wanted if feature[0] not in "#@" and " " not in feature]
    usual = sum(NEW_WORDS if word.isascii() else NEW_CHINESE for word in words)
    new = sum(word not in weights.index for word in words)
    return max(0.0, new - usual) / max(1, len(words))
