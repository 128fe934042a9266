"""Tidy: every entry of the catalogue is complete, and its pages are up to date."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import qwell.doctor.checks
from qwell.doctor.actions import ACTIONS
from qwell.doctor.catalogue import load
from qwell.doctor.fault import Bilingual, Fault
from qwell.doctor.finding import CHECKS
from qwell.doctor.read_pattern import anchors, compiled

ROOT = Path(__file__).parents[2]
CATALOGUE = load()
FAULTS = list(CATALOGUE.faults.values())
CHINESE = re.compile(r"[\u4e00-\u9fff]")

for module in pkgutil.iter_modules(qwell.doctor.checks.__path__):
    importlib.import_module(f"qwell.doctor.checks.{module.name}")


def both_languages(text: Bilingual) -> bool:
    return bool(CHINESE.search(text.zh)) and bool(text.en) and not CHINESE.search(text.en)


def test_every_fault_of_the_taxonomy_is_there() -> None:
    assert len(FAULTS) == 105
    assert len(CATALOGUE.harmless) == 30


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
class TestEveryFault:
    def test_can_be_recognised(self, fault: Fault) -> None:
        assert any(s.weight > 0 for s in fault.signatures) or fault.rules

    def test_has_text_in_both_languages(self, fault: Fault) -> None:
        texts = [fault.summary, fault.see, fault.why, fault.how]
        texts += [remedy.do for remedy in fault.remedies]
        texts += [fault.ask] if fault.ask else []
        assert CHINESE.search(fault.title.zh)
        assert not CHINESE.search(fault.title.en)
        for text in texts:
            assert CHINESE.search(text.zh), text
            assert text.en, text

    def test_has_phrases_in_both_languages(self, fault: Fault) -> None:
        assert any(CHINESE.search(phrase) for phrase in fault.phrases)
        assert any(not CHINESE.search(phrase) for phrase in fault.phrases)

    def test_is_verified_by_checks_that_exist(self, fault: Fault) -> None:
        assert fault.verify
        assert [name for name in fault.verify if name not in CHECKS] == []

    def test_listens_to_checks_that_exist(self, fault: Fault) -> None:
        names = {s.finding for s in fault.signals if not s.finding.startswith("reported.")}
        assert [name for name in names if name not in CHECKS] == []

    def test_has_a_remedy_that_can_be_done(self, fault: Fault) -> None:
        assert fault.remedies
        for remedy in fault.remedies:
            assert (remedy.action in ACTIONS) if remedy.action else remedy.safety == "manual"
            assert remedy.commands or remedy.action, remedy.id

    def test_names_other_faults_only(self, fault: Fault) -> None:
        named = {*fault.explains, *fault.confused_with}
        assert named <= CATALOGUE.faults.keys() - {fault.id}

    def test_says_where_it_was_seen(self, fault: Fault) -> None:
        assert fault.references

    def test_has_rules_of_known_concepts(self, fault: Fault) -> None:
        named = {name.lstrip("-") for rule in fault.rules for name in rule.concepts}
        assert named <= CATALOGUE.concepts.keys()

    def test_has_its_page(self, fault: Fault) -> None:
        for folder in ("faults", "faults/zh"):
            assert (ROOT / "docs" / folder / f"{fault.id}.md").is_file()


def test_aliases_belong_to_one_fault() -> None:
    aliases = [alias for fault in FAULTS for alias in fault.aliases]
    assert len(aliases) == len(set(aliases) - CATALOGUE.faults.keys())


def test_harmless_messages_are_told_in_both_languages() -> None:
    assert [entry.id for entry in CATALOGUE.harmless if not both_languages(entry.summary)] == []


PATTERNS = sorted(
    {p for fault in FAULTS for s in fault.signatures for p in s.patterns}
    | {p for entry in CATALOGUE.harmless for p in entry.patterns}
)


def test_patterns_compile_and_nearly_all_have_an_anchor() -> None:
    assert all(compiled(pattern) for pattern in PATTERNS)
    assert len([pattern for pattern in PATTERNS if not anchors(pattern)]) <= 3


def test_pages_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "generate_faults.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
