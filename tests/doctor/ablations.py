"""The diagnosis without one of its parts, or without some faults; used by the scores alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

import qwell.doctor.diagnose as whole
from qwell.doctor.finding import Finding
from qwell.doctor.search import Found, search

Patch = pytest.MonkeyPatch
HERE = "qwell.doctor.diagnose"


def _without_signatures(patch: Patch) -> None:
    weigh = whole._weigh
    patch.setattr(f"{HERE}._weigh", lambda findings: weigh(_not_from_lines(findings)))


def _not_from_lines(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if not finding.check.startswith("log.")]


def _without_negative_weights(patch: Patch) -> None:
    """Neither a finding nor a word speaks against a fault."""
    table = whole._weights()
    positive = {
        key: [(fault, weight) for fault, weight in pairs if weight > 0]
        for key, pairs in table.items()
    }
    patch.setattr(f"{HERE}._weights", lambda: positive)
    _change_words(patch, lambda faults: {k: max(0.0, odds) for k, odds in faults.items()})


def _without_folding(patch: Patch) -> None:
    patch.setattr(f"{HERE}._fold", lambda ranked: ranked)


def _change_words(
    patch: Patch, change: Callable[[Mapping[str, float]], Mapping[str, float]]
) -> None:
    def changed(reading: Any) -> Found:
        found = search(reading)
        return replace(found, faults=change(found.faults))

    patch.setattr(f"{HERE}.search", changed)


ABLATIONS: dict[str, Callable[[Patch], None]] = {
    "without learned words": lambda patch: patch.setattr("qwell.doctor.search.LEARNED", 0.0),
    "without rules": lambda patch: patch.setattr("qwell.doctor.search.RULES", 0.0),
    "without signatures": _without_signatures,
    "without negative weights": _without_negative_weights,
    "without folding": _without_folding,
    "without doubt of new words": lambda patch: patch.setattr(f"{HERE}.STRANGE", 0.0),
}


def without_faults(patch: Patch, left_out: Collection[str]) -> None:
    """As if the catalogue did not have them."""
    weigh = whole._weigh

    def weighed(findings: Iterable[Finding]) -> Any:
        return {k: d for k, d in weigh(findings).items() if k not in left_out}

    patch.setattr(f"{HERE}._weigh", weighed)
    _change_words(
        patch, lambda faults: {k: odds for k, odds in faults.items() if k not in left_out}
    )
