"""Finds faults by what a person says, where no log line names one.

Two ways, added up: rules over concepts, each concept a list of Chinese and English wordings;
and BM25 over titles, summaries and phrases of the catalogue, Chinese as pairs of characters.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from qwell.doctor.catalogue import Catalogue, load
from qwell.doctor.fault import Fault, Rule

SECOND_RULE = 0.25  # what a further rule adds, as a share of its weight
SIMILARITY = 3.0  # log-odds of a text that says just what a phrase says
ENOUGH_TERMS = 8
_K1, _B = 1.2, 0.4  # the customary constants of BM25, shorter texts preferred little
_CONTEXT = frozenset({"container", "k8s", "windows", "selinux", "localhost", "proxy", "arch"})
_WORD = re.compile(r"[a-z0-9_]+|[\u4e00-\u9fff]+")
_STOP = frozenset(
    [
        "the",
        "a",
        "an",
        "is",
        "are",
        "was",
        "were",
        "be",
        "to",
        "of",
        "in",
        "on",
        "at",
        "it",
        "its",
        "i",
        "my",
        "me",
        "we",
        "our",
        "you",
        "your",
        "and",
        "or",
        "but",
        "with",
        "for",
        "from",
        "by",
        "as",
        "that",
        "this",
        "so",
        "do",
        "does",
        "did",
        "has",
        "have",
        "had",
        "not",
        "no",
        "if",
        "when",
        "then",
        "there",
        "what",
        "why",
        "how",
        "can",
        "will",
        "just",
        "very",
        "all",
        "any",
        "one",
        "some",
        "after",
        "before",
        "into",
        "than",
    ]
)


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
    similar = _index(tuple(catalogue.faults)).similarities(prose) if catalogue is load() else {}
    hits = []
    for fault in catalogue.faults.values():
        weight, said = _by_rules(fault, concepts)
        weight += SIMILARITY * similar.get(fault.id, 0.0)
        if weight > 0:
            hits.append(Hit(fault.id, weight, said))
    return sorted(hits, key=lambda hit: -hit.weight)


def concepts_in(prose: str, head: str, concepts: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """Concepts that the prose expresses, or, for surroundings, the log beside it."""
    lowered, around = prose.lower(), head.lower()
    return frozenset(
        name
        for name, patterns in concepts.items()
        if _concept(patterns).search(lowered)
        or (name in _CONTEXT and _concept(patterns).search(around))
    )


@cache
def _concept(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


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


def terms(text: str) -> list[str]:
    """Words without common endings, and pairs of Chinese characters."""
    found: list[str] = []
    for word in _WORD.findall(text.lower()):
        if word[0] >= "\u4e00":
            found.extend(word[i : i + 2] for i in range(max(1, len(word) - 1)))
        elif word not in _STOP:
            found.append(_stem(word))
    return found


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


class Bm25:
    """Similarity of a query to each of some named texts, from 0 to 1."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._names = list(texts)
        counts = [Counter(terms(text)) for text in texts.values()]
        lengths = [sum(count.values()) for count in counts]
        average = sum(lengths) / max(1, len(lengths))
        found_in = Counter(term for count in counts for term in count)
        n = len(counts)
        self._idf = {t: math.log(1 + (n - k + 0.5) / (k + 0.5)) for t, k in found_in.items()}
        self._postings: dict[str, list[tuple[int, float]]] = {}
        for which, count in enumerate(counts):
            norm = _K1 * (1 - _B + _B * lengths[which] / average)
            for term, times in count.items():
                gain = self._idf[term] * times * (_K1 + 1) / (times + norm)
                self._postings.setdefault(term, []).append((which, gain))

    def similarities(self, query: str) -> dict[str, float]:
        """Scores relative to a text that would hold every term of the query."""
        wanted = set(terms(query))
        known = sum(term in self._idf for term in wanted)
        share = min(1.0, known / ENOUGH_TERMS)  # two words in common say little
        best = sum(self._idf.get(term, 0.0) for term in wanted) * (_K1 + 1) / 1.6
        scores: dict[int, float] = {}
        for term in wanted:
            for which, gain in self._postings.get(term, ()):
                scores[which] = scores.get(which, 0.0) + gain
        return {self._names[which]: share * score / best for which, score in scores.items() if best}


def fault_texts(faults: Iterable[Fault]) -> dict[str, str]:
    """What the catalogue says of each fault, as one text."""
    return {
        fault.id: " ".join(
            (
                *(
                    text
                    for both in (fault.title, fault.summary, fault.see)
                    for text in (both.zh, both.en)
                ),
                *fault.phrases,
                *fault.phrases,
            )
        )
        for fault in faults
    }


@cache
def _index(_names: tuple[str, ...]) -> Bm25:
    return Bm25(fault_texts(load().faults.values()))
