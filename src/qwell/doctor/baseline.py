"""How fast, and with which answer, this machine ran this model when it was well.

One JSON file in the data folder, an entry for each machine and model. The server records, the
checks compare. Knows nothing of how anything was measured.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

FILE = "baseline.json"
_ENOUGH = 5  # measurements until the values count


@dataclass(frozen=True, slots=True)
class Baseline:
    """Means of the first healthy answers to the fixed question, and these answers themselves.

    Greedy answers differ only in how the prompt was computed: in one piece, or from the cache.
    """

    tok_s: float = 0.0
    ttft_ms: float = 0.0
    n: int = 0
    answers: tuple[str, ...] = ()

    @property
    def is_known(self) -> bool:
        return self.n >= _ENOUGH


def key_of(model: Mapping[str, Any]) -> str:
    """Changes when a comparison would not be fair: another machine, other weights or engine."""
    parts = [str(model.get(k, "")) for k in ("name", "quant", "engine", "isa", "n_threads")]
    machine = [platform.node(), platform.machine(), str(os.cpu_count())]
    return hashlib.sha256("\0".join([*parts, *machine]).encode()).hexdigest()[:16]


def load(folder: Path, key: str) -> Baseline:
    """Unknown where nothing, or nothing readable, was recorded."""
    entry = _read(folder / FILE).get(key)
    names = {item.name for item in fields(Baseline)}
    if not isinstance(entry, dict):
        return Baseline()
    try:
        found = Baseline(**{k: v for k, v in entry.items() if k in names})
        return replace(found, answers=tuple(map(str, found.answers)))
    except TypeError:
        return Baseline()


def save(folder: Path, key: str, baseline: Baseline) -> None:
    """Raises OSError when the folder cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    table = _read(folder / FILE) | {key: asdict(baseline)}
    unfinished = folder / f"{FILE}.tmp"
    unfinished.write_text(json.dumps(table, indent=1), encoding="utf-8")
    unfinished.replace(folder / FILE)


def _read(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}


def extended(baseline: Baseline, tok_s: float, ttft_ms: float, answer: str) -> Baseline:
    """One more measurement, until there are enough: later ones would hide a slow decline."""
    if baseline.is_known:
        return baseline
    n = baseline.n
    return replace(
        baseline,
        tok_s=(baseline.tok_s * n + tok_s) / (n + 1),
        ttft_ms=(baseline.ttft_ms * n + ttft_ms) / (n + 1),
        n=n + 1,
        answers=tuple(dict.fromkeys([*baseline.answers, answer])),
    )
