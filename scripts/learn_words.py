"""Learns which words speak for which fault, and says how well that generalises.

Text in, one weight per word and fault out: a softmax regression over words, pairs of words, pairs
of Chinese characters and the catalogue's concepts. It learns from the catalogue's phrases and the
cases in tests/doctor, never from those kept aside, and writes src/qwell/doctor/learned.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qwell.doctor.catalogue import load
from qwell.doctor.learned import NONE, PATH, features, rank

ROOT = Path(__file__).parent.parent
CASES = ROOT / "tests" / "doctor"
LEARNED_FROM = ("dev_cases.jsonl", "wild_cases.jsonl", "late_cases.jsonl", "blind_cases.jsonl")
ORDINARY = ROOT / "scripts" / "ordinary_words.txt"
ROUNDS, RATE, DECAY, LEAST_SEEN, LEAST_KEPT = 220, 0.08, 3e-4, 2, 0.12


@dataclass(frozen=True)
class Example:
    text: str
    fault: str
    source: str
    weight: float = 1.0


def catalogue_examples() -> list[Example]:
    examples = []
    for fault in load().faults.values():
        examples += [Example(phrase, fault.id, "catalogue") for phrase in fault.phrases]
        for both in (fault.title, fault.summary, fault.see):
            examples += [Example(t, fault.id, "catalogue", 0.7) for t in (both.zh, both.en)]
    lines = ORDINARY.read_text(encoding="utf-8").splitlines()
    return examples + [Example(line, NONE, "ordinary") for line in lines]


def case_examples(names: Iterable[str] = LEARNED_FROM) -> list[Example]:
    texts = [(CASES / name).read_text(encoding="utf-8") for name in names]
    rows = [json.loads(line) for text in texts for line in text.splitlines()]
    known = load().faults
    return [
        Example(row["symptom"], row["fault"] if row["fault"] in known else NONE, project_of(row))
        for row in rows
        if row["symptom"]
    ]


def project_of(row: dict[str, str]) -> str:
    return row["source"].partition("#")[0]


def learn(examples: list[Example], rounds: int = ROUNDS) -> dict[str, dict[str, float]]:
    """Weights by word, then by fault."""
    labels = [*load().faults, NONE]
    bags = [features(example.text) for example in examples]
    seen: dict[str, int] = {}
    for bag in bags:
        for word in bag:
            seen[word] = seen.get(word, 0) + 1
    words = {w: i for i, w in enumerate(sorted(w for w, n in seen.items() if n >= LEAST_SEEN))}
    x = np.zeros((len(bags), len(words)), np.float32)
    for row, bag in enumerate(bags):
        columns = [words[word] for word in bag if word in words]
        x[row, columns] = 1 / max(1.0, len(columns) ** 0.5)
    y = np.eye(len(labels), dtype=np.float32)[[labels.index(e.fault) for e in examples]]
    importance = np.array([e.weight for e in examples], np.float32)[:, None]
    fitted = _fit(x, y, importance, rounds)
    return {
        word: {labels[k]: round(float(w), 2) for k, w in enumerate(row) if abs(w) >= LEAST_KEPT}
        for word, row in zip(words, fitted, strict=True)
    }


def _fit(
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.float32],
    importance: npt.NDArray[np.float32],
    rounds: int,
) -> npt.NDArray[np.float32]:
    """Adam on the cross entropy, with weight decay; deterministic."""
    w = np.zeros((x.shape[1], y.shape[1]), np.float32)
    mean, square = np.zeros_like(w), np.zeros_like(w)
    for step in range(1, rounds + 1):
        z = x @ w
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        gradient = x.T @ ((p - y) * importance) / len(x) + DECAY * w
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        w -= RATE * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return w.astype(np.float32)


def cross_validate(n_folds: int = 5) -> tuple[float, float]:
    """First and first three of words alone; cases of one project are never on both sides."""
    cases = case_examples()
    projects = sorted({case.source for case in cases})
    fold_of = {project: i % n_folds for i, project in enumerate(projects)}
    first = three = n = 0
    for fold in range(n_folds):
        kept = [case for case in cases if fold_of[case.source] != fold]
        weights = learn(catalogue_examples() + kept)
        for case in (c for c in cases if fold_of[c.source] == fold and c.fault != NONE):
            ranked = list(rank(features(case.text), weights))
            n += 1
            first += ranked[:1] == [case.fault]
            three += case.fault in ranked[:3]
    return first / n, three / n


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--validate", action="store_true", help="cross-validate, write nothing")
    if parser.parse_args().validate:
        first, three = cross_validate()
        print(f"words alone, cross-validated by project: first {first:.2f}, three {three:.2f}")
        return 0
    weights = learn(catalogue_examples() + case_examples())
    lines = [
        f"{json.dumps(word, ensure_ascii=False)}: {json.dumps(row, separators=(',', ':'))}"
        for word, row in weights.items()
        if row
    ]
    PATH.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
