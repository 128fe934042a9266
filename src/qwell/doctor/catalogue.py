"""Reads the catalogue of faults, harmless messages and concepts from TOML files, once.

Knows the files' shape, and nothing of logs or diagnosis.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from qwell.doctor.catalogue_pack import packed, parsed
from qwell.doctor.fault import Bilingual, Fault, Harmless, Remedy, Rule, Signal, Signature
from qwell.doctor.finding import Status
from qwell.doctor.read_pattern import Anchors, remember

NAMED_WEIGHT = 60.0  # of the fault's own id in a line, whatever else a text says
NAMED = "named"  # finding of a text: log.<fault>.named
REPORTED = "reported."  # a finding by which a running server names the fault itself
REPORTED_WEIGHT = 6.0
PASS_WEIGHT, WARN_WEIGHT, FAIL_WEIGHT = -4.0, 2.5, 5.0  # of a fault's own check, in log-odds


@dataclass(frozen=True)
class Catalogue:
    """Faults by id, in the order of their ids; what is harmless; what words mean."""

    faults: Mapping[str, Fault]
    harmless: tuple[Harmless, ...]
    concepts: Mapping[str, tuple[str, ...]]

    @cached_property
    def anchors_in_logs(self) -> Anchors:
        """Of the patterns of signatures and harmless messages."""
        return Anchors(self.patterns_of_lines())

    @cached_property
    def anchors_in_words(self) -> Anchors:
        """Of the patterns of concepts."""
        return Anchors(self.patterns_of_words())

    def patterns_of_lines(self) -> Iterator[str]:
        """Of signatures and harmless messages."""
        for fault in self.faults.values():
            for signature in fault.signatures:
                yield from signature.patterns
        for entry in self.harmless:
            yield from entry.patterns

    def patterns_of_words(self) -> Iterator[str]:
        """Of concepts."""
        for patterns in self.concepts.values():
            yield from patterns

    @cached_property
    def deniable(self) -> frozenset[str]:
        """With what a person may deny a fault: messages, and words that alone tell."""
        found: set[str] = set()
        for fault in self.faults.values():
            lone = [rule.concepts[0] for rule in fault.rules if len(rule.concepts) == 1]
            found.update(p for name in lone for p in self.concepts.get(name, ()))
            found.update(p for s in fault.signatures if s.weight > 0 for p in s.patterns)
        return frozenset(found)

    def find(self, name: str) -> Fault | None:
        """The fault of this id or alias."""
        if name in self.faults:
            return self.faults[name]
        return next((fault for fault in self.faults.values() if name in fault.aliases), None)


@cache
def load() -> Catalogue:
    """The catalogue that ships with the program.

    Raises KeyError for an entry that lacks a field; a test walks all of them.
    """
    source = packed() or parsed()
    remember(source.get("anchors", {}))
    faults = [fault_of(entry) for entry in source["faults"]]
    return Catalogue(
        {fault.id: fault for fault in faults},
        tuple(_harmless_of(entry) for entry in source["harmless"]),
        {name: tuple(patterns) for name, patterns in source["concepts"].items()},
    )


def fault_of(entry: Mapping[str, Any]) -> Fault:
    """One TOML file as a fault."""
    phrases = entry["phrases"]
    return Fault(
        id=entry["id"],
        layer=entry["layer"],
        effect=entry["effect"],
        title=_bilingual(entry["title"]),
        summary=_bilingual(entry["summary"]),
        see=_bilingual(entry["see"]),
        why=_bilingual(entry["why"]),
        how=_bilingual(entry["how"]),
        prior=entry.get("prior", 0.0),
        signals=_signals(entry),
        signatures=_signatures(entry),
        rules=tuple(Rule(tuple(rule["all"]), rule["weight"]) for rule in entry.get("rule", ())),
        phrases=(*phrases["zh"], *phrases["en"]),
        explains=tuple(entry["explains"]),
        confused_with=tuple(entry["confused_with"]),
        aliases=tuple(entry["aliases"]),
        remedies=tuple(_remedy(remedy) for remedy in entry["remedy"]),
        verify=tuple(entry["verify"]),
        references=tuple(entry["references"]),
        ask=_bilingual(entry["ask"]) if "ask" in entry else None,
    )


def _bilingual(entry: Mapping[str, str]) -> Bilingual:
    return Bilingual(entry["zh"], entry["en"])


def _signatures(entry: Mapping[str, Any]) -> tuple[Signature, ...]:
    """Those of the entry, and one without a pattern: the id itself."""
    known = enumerate(entry.get("signature", ()), 1)
    return (
        *(
            Signature(f"log.{entry['id']}.{number}", tuple(one["any"]), one["weight"])
            for number, one in known
        ),
        Signature(f"log.{entry['id']}.{NAMED}", (), NAMED_WEIGHT),
    )


def _signals(entry: Mapping[str, Any]) -> tuple[Signal, ...]:
    """What the fault's own checks say, what else is written down, and the server's own word."""
    weights = {
        Status.PASS: PASS_WEIGHT,
        Status.WARN: WARN_WEIGHT,
        Status.FAIL: FAIL_WEIGHT,
    }
    seen_by = () if entry.get("verify_only") else entry["verify"]
    own = [Signal(c, status, w) for c in seen_by for status, w in weights.items()]
    further = [Signal(s["check"], Status(s["is"]), s["weight"]) for s in entry.get("signal", ())]
    reported = Signal(f"{REPORTED}{entry['id']}", Status.FAIL, REPORTED_WEIGHT)
    return (*own, *further, reported)


def _remedy(entry: Mapping[str, Any]) -> Remedy:
    return Remedy(
        id=entry["id"],
        safety=entry["safety"],
        do=_bilingual(entry["do"]),
        commands=tuple(entry.get("commands", ())),
        action=entry.get("action", ""),
        fixes=entry.get("fixes", 0.8),
        cost=entry.get("cost", 5.0),
    )


def _harmless_of(entry: Mapping[str, Any]) -> Harmless:
    return Harmless(
        id=entry["id"],
        summary=_bilingual(entry["summary"]),
        patterns=tuple(entry["any"]),
        said=tuple(entry.get("said", ())),
        background=entry.get("background", False),
    )
