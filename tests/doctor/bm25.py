"""The baseline that the doctor has to beat: BM25 over what the catalogue says of each fault."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from qwell.doctor.fault import Fault
from qwell.doctor.search_words import terms

_K1, _B = 1.2, 0.4


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
        best = sum(self._idf.get(term, 0.0) for term in wanted) * (_K1 + 1) / 1.6
        scores: dict[int, float] = {}
        for term in wanted:
            for which, gain in self._postings.get(term, ()):
                scores[which] = scores.get(which, 0.0) + gain
        return {self._names[which]: score / best for which, score in scores.items() if best}


def taxonomy_texts(faults: Iterable[Fault]) -> dict[str, str]:
    """One sentence in each language, as a list of faults has it."""
    return {f.id: f"{f.id} {f.summary.zh} {f.summary.en}" for f in faults}


def catalogue_texts(faults: Iterable[Fault]) -> dict[str, str]:
    """All that the catalogue says, with the wordings that people use."""
    return {
        f.id: " ".join(
            [f.title.zh, f.title.en, f.summary.zh, f.summary.en, f.see.zh, f.see.en, *f.phrases]
        )
        for f in faults
    }
