"""Learns which words speak for which fault, and says how well that generalises.

One linear score per fault, "nothing is wrong" and "a fault of others", over the features of
qwell.doctor.learned. It learns from the catalogue's phrases and the reports, logs and questions in
tests/doctor, never from those kept aside, and writes src/qwell/doctor/learned.bin.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.svm import LinearSVC

from qwell.doctor.catalogue import load
from qwell.doctor.fault import Fault
from qwell.doctor.learned import NONE, PATH, UNKNOWN, Weights, features, rank, to_bytes
from qwell.doctor.read import read

ROOT = Path(__file__).parent.parent
CASES = ROOT / "tests" / "doctor"
LEARNED_FROM = ("dev_cases.jsonl", "wild_cases.jsonl", "late_cases.jsonl", "blind_cases.jsonl")
ORDINARY = ROOT / "scripts" / "ordinary_words.txt"
PENALTY, LEAST_SEEN, LEAST_KEPT, SEED = 0.6, 2, 0.03, 1
# whoever asks for a text about a fault has none
REQUESTS = (
    "What does '{}' mean?",
    "解释一下“{}”是什么意思",
    "Translate into Chinese: {}",
    "翻译成英文：{}",
    "Write a short article with the title: {}",
    "帮我写一篇文章，题目是：{}",
)
IN_OUR_WORDS = 0.5  # weight of the catalogue's own prose, which no user writes


@dataclass(frozen=True)
class Example:
    """group: examples of one group are never on both sides of a cross-validation."""

    text: str
    label: str
    group: str
    weight: float = 1.0


def catalogue_examples() -> list[Example]:
    """What the catalogue itself says: part of every training."""
    examples = []
    for fault in load().faults.values():
        examples += [Example(phrase, fault.id, "catalogue") for phrase in fault.phrases]
        for both in (fault.title, fault.summary, fault.see, fault.why):
            examples += [
                Example(text, fault.id, "catalogue", IN_OUR_WORDS) for text in (both.zh, both.en)
            ]
        examples += [
            Example(form.format(text), NONE, "catalogue", IN_OUR_WORDS)
            for form, text in zip(REQUESTS, _texts_about(fault), strict=False)
        ]
    return [*examples, *_listed_examples()]


def _texts_about(fault: Fault) -> Iterator[str]:
    """English and Chinese in turns, to be put into requests."""
    english = [fault.title.en, *(p for p in fault.phrases if p.isascii())]
    chinese = [fault.title.zh, *(p for p in fault.phrases if not p.isascii())]
    for pair in zip(english, chinese, strict=False):
        yield from pair


def _listed_examples() -> Iterator[Example]:
    """Single lines: messages of programs, healthy logs, ordinary requests."""
    for line in _lines(CASES / "messages.txt"):
        fault, _, message = line.partition("|")
        yield Example(message, fault, "catalogue")
    for path in (ORDINARY, CASES / "healthy.txt"):
        yield from (Example(line, NONE, "catalogue") for line in _lines(path))


def case_examples(names: Iterable[str] = LEARNED_FROM) -> list[Example]:
    """Whole reports, by the project that they come from."""
    paths = [*(CASES / name for name in names), *sorted((CASES / "training").glob("*.jsonl"))]
    rows = [json.loads(line) for path in paths for line in _lines(path)]
    return [Example(text_of(row), row["fault"], project_of(row)) for row in rows]


def text_of(row: dict[str, str]) -> str:
    return f"{row['symptom']}\n\n{row['log']}".strip()


def project_of(row: dict[str, str]) -> str:
    return row["source"].partition("#")[0]


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


# ---- learning


@cache
def features_of(text: str) -> frozenset[str]:
    return features(read(text))


def learn(examples: list[Example]) -> Weights:
    """Weights from examples; the same examples give the same weights."""
    bags = [features_of(example.text) for example in examples]
    seen = Counter(feature for bag in bags for feature in bag)
    kept = sorted(feature for feature, times in seen.items() if times >= LEAST_SEEN)
    index = {feature: i for i, feature in enumerate(kept)}
    rare = np.log((1 + len(bags)) / (1 + np.array([seen[feature] for feature in kept]))) + 1
    labels = sorted({*load().faults, NONE, UNKNOWN} & {e.label for e in examples})
    model = LinearSVC(C=PENALTY, random_state=SEED)
    model.fit(
        _matrix(bags, index, rare),
        [labels.index(example.label) for example in examples],
        sample_weight=[example.weight for example in examples],
    )
    return _packed(labels, model.intercept_, model.coef_.T, index, rare)


def _matrix(
    bags: list[frozenset[str]], index: dict[str, int], rare: npt.NDArray[np.float64]
) -> csr_matrix:
    """One row of length 1 per text."""
    columns, values, ends = [], [], [0]
    for bag in bags:
        known = sorted(index[feature] for feature in bag if feature in index)
        row = rare[known]
        columns += known
        values += list(row / (np.sqrt((row**2).sum()) or 1.0))
        ends.append(len(columns))
    return csr_matrix((values, columns, ends), shape=(len(bags), len(index)))


def _packed(
    labels: list[str],
    base: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float64],
    index: dict[str, int],
    rare: npt.NDArray[np.float64],
) -> Weights:
    """In steps of a 127th of the largest weight, without the smallest."""
    unit = float(np.abs(weights).max()) / 127
    steps = np.rint(weights / unit).astype(int)
    rows, which = np.nonzero((np.abs(weights) >= LEAST_KEPT) & (steps != 0))
    ends = np.searchsorted(rows, np.arange(len(index) + 1))
    return Weights(
        tuple(labels),
        tuple(float(value) for value in base),
        unit,
        index,
        [float(value) for value in rare],
        [int(end) for end in ends],
        [int(label) for label in which],
        [int(step) for step in steps[rows, which]],
    )


# ---- how well it generalises


def folds(examples: list[Example], n_folds: int = 5) -> Iterator[tuple[Weights, list[Example]]]:
    """Weights that were learned without the examples beside them, nor any of their projects."""
    fixed = catalogue_examples()
    fold_of = [zlib.crc32(example.group.encode()) % n_folds for example in examples]
    for fold in range(n_folds):
        kept = [e for e, its in zip(examples, fold_of, strict=True) if its != fold]
        out = [e for e, its in zip(examples, fold_of, strict=True) if its == fold]
        yield learn(fixed + kept), out


def cross_validate() -> tuple[float, float]:
    """First and first three of the learned weights alone, over all reports of a fault."""
    first = three = n = 0
    for weights, out in folds(case_examples()):
        for example in out:
            if example.label in (NONE, UNKNOWN):
                continue
            scores = rank(features_of(example.text), weights)
            ranked = sorted(scores, key=lambda label: -scores[label])
            n += 1
            first += ranked[:1] == [example.label]
            three += example.label in ranked[:3]
    return first / n, three / n


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--validate", action="store_true", help="cross-validate, write nothing")
    if parser.parse_args().validate:
        first, three = cross_validate()
        print(f"words alone, cross-validated by project: first {first:.2f}, three {three:.2f}")
        return 0
    PATH.write_bytes(to_bytes(learn(catalogue_examples() + case_examples())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
