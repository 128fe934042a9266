"""Finds faults by what a person says, where no log line names one.

Two ways, added up: rules over concepts, each concept a list of Chinese and English wordings;
and weights of words that were learned from many reports.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from qwell.doctor.catalogue import Catalogue, load
from qwell.doctor.fault import Fault, Rule
from qwell.doctor.learned import features, rank, shipped
from qwell.doctor.search_words import concepts_in

SECOND_RULE = 0.25  # what a further rule adds, as a share of its weight
LEARNED = 2.0  # share of what the learned weights add, in log-odds
MOST_LEARNED, MOST_ALONE = 8.0, 8.0


@dataclass(frozen=True, slots=True)
class Hit:
    """A fault that the words suggest; said: the concepts that led to it."""

    fault: str
    weight: float
    said: tuple[str, ...]


def search(prose: str, head: str = "", catalogue: Catalogue | None = None) -> list[Hit]:
    """Best first. head is the beginning of the whole text, logs too, for its surroundings."""
    catalogue = catalogue or load()
    if not prose.strip():
        return []
    concepts = concepts_in(prose, head, catalogue.concepts)
    learned = rank(features(prose, concepts), shipped())
    hits = []
    for fault in catalogue.faults.values():
        weight, said = _by_rules(fault, concepts)
        most = MOST_LEARNED if said else MOST_ALONE
        weight += min(most, _by_words(learned.get(fault.id, 0.0), len(learned)))
        if weight > 0:
            hits.append(Hit(fault.id, weight, said))
    return sorted(hits, key=lambda hit: -hit.weight)


def _by_words(p: float, n_faults: int) -> float:
    """Log-odds of a probability against chance."""
    if p * n_faults <= 1:
        return 0.0
    return LEARNED * math.log(p * n_faults)


def _by_rules(fault: Fault, concepts: frozenset[str]) -> tuple[float, tuple[str, ...]]:
    """The weight of the best rule and a share of the others, and the best rule's concepts."""
    matching = [rule for rule in fault.rules if _holds(rule, concepts)]
    if not matching:
        return 0.0, ()
    matching.sort(key=lambda rule: -rule.weight)
    rest = sum(rule.weight for rule in matching[1:3])
    return matching[0].weight + SECOND_RULE * rest, matching[0].concepts


def _holds(rule: Rule, concepts: frozenset[str]) -> bool:
    """All concepts are there; one that is written with a minus is not."""
    return all(
        (name[1:] not in concepts) if name[0] == "-" else (name in concepts)
        for name in rule.concepts
    )
