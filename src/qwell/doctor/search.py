"""Finds faults by what a person says, and by logs that no signature knows.

Two ways, added up: rules over concepts, each concept a list of Chinese and English wordings;
and weights of words that were learned from many reports.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from qwell.doctor.catalogue import Catalogue, load
from qwell.doctor.fault import Fault, Rule
from qwell.doctor.learned import NONE, UNKNOWN, features, novelty, rank, shipped
from qwell.doctor.read import Reading
from qwell.doctor.search_words import concepts_in

SECOND_RULE = 0.25  # what a further rule adds, as a share of its weight
RULES = 0.3  # share of the rules: the learned weights know their concepts, too
LEARNED = 2.0  # share of what the learned weights add, in log-odds


@dataclass(frozen=True, slots=True)
class Found:
    """Log-odds that words add: by fault, for nothing being wrong, and for a fault of others.

    novelty: how much of the text is in words that no known fault is told in
    """

    faults: Mapping[str, float]
    none: float = 0.0
    unknown: float = 0.0
    novelty: float = 0.0


def search(reading: Reading, catalogue: Catalogue | None = None) -> Found:
    """What the text adds, against a text that says nothing."""
    catalogue = catalogue or load()
    if not reading.gist.strip():
        return Found({})
    weights, said = shipped(), features(reading)
    learned = rank(said, weights)
    chance = math.log(len(learned))
    odds = {label: LEARNED * (log_p + chance) for label, log_p in learned.items()}
    concepts = concepts_in(
        reading.prose, reading.head, catalogue.concepts, catalogue.anchors_in_words
    )
    faults = {
        fault.id: odds.get(fault.id, 0.0) + RULES * _by_rules(fault, concepts)
        for fault in catalogue.faults.values()
    }
    return Found(faults, odds[NONE], odds[UNKNOWN], novelty(said, weights))


def _by_rules(fault: Fault, concepts: frozenset[str]) -> float:
    """The weight of the best rule and a share of the others."""
    matching = sorted(rule.weight for rule in fault.rules if _holds(rule, concepts))[::-1]
    return matching[0] + SECOND_RULE * sum(matching[1:3]) if matching else 0.0


def _holds(rule: Rule, concepts: frozenset[str]) -> bool:
    """All concepts are there; one that is written with a minus is not."""
    return all(
        (name[1:] not in concepts) if name[0] == "-" else (name in concepts)
        for name in rule.concepts
    )
