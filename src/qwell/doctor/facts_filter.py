"""Cuts every sentence that says more than the facts: numbers, paths, commands, flags, ids, names.

A sentence stays only when each of its words is in the facts or is plain (facts_filter.toml), when
it denies something only where the facts deny something, and when it is about the facts at all.
Knows no fault and no model.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from qwell.doctor.fault import Language

LONGEST = 400  # characters of what is left
_ENDS = re.compile(r"(?<=[。！？!?；;\n])|(?<=\.)(?=\s|$)|(?<=[.])(?=[A-Z\u4e00-\u9fff])")
_TOKEN = re.compile(
    r"[^\s\u3000-\u303f\u4e00-\u9fff\uff00-\uffef，。；：！？、（）\u2018\u2019\u201c\u201d]+"
)
_CJK_RUN = re.compile(r"[\u4e00-\u9fff]+")
_EDGES = ".,;:!?\"'()[]{}<>*_`\u2018\u2019\u201c\u201d"
_CJK_NUMBER = re.compile(r"[零〇二两三四五六七八九十百千万亿半]+")
_DENIES = re.compile(
    r"\b(?:not|no|never|none|without|cannot|nothing|nor|un\w+)\b|n't\b|[不没无未非勿别]"
)
_LEAST_COVERED = 0.6  # share of a Chinese sentence's pairs that the facts hold
_LEAST_SHARED = 2  # words or pairs that make a sentence one about the facts


def only_facts(text: str, facts: Iterable[str], language: Language) -> str:
    """The sentences of text that say nothing beyond facts, "" when none does."""
    known = _Known(facts)
    kept = [part for part in _sentences(text) if known.hold(part)]
    joined = ("" if language == "zh" else " ").join(kept).strip()
    return joined if len(joined) <= LONGEST else ""


def _sentences(text: str) -> list[str]:
    return [part.strip() for part in _ENDS.split(text) if part.strip()]


class _Known:
    """The facts as words and pairs of characters."""

    def __init__(self, facts: Iterable[str]) -> None:
        self._facts = [sentence for fact in facts for sentence in _sentences(fact)]
        whole = "\n".join(self._facts)
        self._tokens = {token.casefold() for token in _tokens(whole)}
        self._stems = {_stem(token) for token in self._tokens}
        self._pairs = _pairs(whole)
        self._numbers = set(_CJK_NUMBER.findall(whole))
        self._denies = _DENIES.search(whole.casefold()) is not None

    def hold(self, sentence: str) -> bool:
        tokens, pairs = _tokens(sentence), _pairs(sentence)
        if sentence.endswith(("?", "？")):
            return False
        if not all(self._has(token) for token in tokens):
            return False
        if not set(_CJK_NUMBER.findall(sentence)) <= self._numbers:
            return False
        if pairs and len(pairs & (self._pairs | _plain_pairs())) < _LEAST_COVERED * len(pairs):
            return False
        if self._shared(tokens, pairs) < _LEAST_SHARED:
            return False
        return self._denies_alike(sentence)

    def _has(self, token: str) -> bool:
        word = token.casefold()
        if word in self._tokens or word in _plain_words():
            return True
        is_word = word.isalpha() and word.isascii()
        return is_word and _stem(word) in self._stems | _plain_stems()

    def _shared(self, tokens: Iterable[str], pairs: set[str]) -> int:
        telling = {t.casefold() for t in tokens} - _plain_words()
        return len(telling & self._tokens) + len(pairs & self._pairs)

    def _denies_alike(self, sentence: str) -> bool:
        """What the sentence denies, its nearest fact denies, and the other way round."""
        nearest = max(self._facts, key=lambda fact: _likeness(fact, sentence), default="")
        pattern = _DENIES.search
        return (pattern(sentence.casefold()) is None) == (pattern(nearest.casefold()) is None)


def _likeness(one: str, other: str) -> float:
    mine, its = _features(one), _features(other)
    return len(mine & its) / (1 + len(mine | its))


def _features(text: str) -> set[str]:
    return {_stem(token.casefold()) for token in _tokens(text)} | _pairs(text)


def _tokens(text: str) -> list[str]:
    stripped = (token.strip(_EDGES) for token in _TOKEN.findall(text))
    return [token for token in stripped if token]


def _pairs(text: str) -> set[str]:
    runs = _CJK_RUN.findall(text)
    return {run[i : i + 2] for run in runs for i in range(max(1, len(run) - 1))}


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "es", "s", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


@cache
def _lists() -> dict[str, str]:
    path = Path(__file__).with_name("facts_filter.toml")
    lists: dict[str, str] = tomllib.loads(path.read_text(encoding="utf-8"))
    return lists


@cache
def _plain_words() -> frozenset[str]:
    return frozenset(_lists()["en"].split())


@cache
def _plain_stems() -> frozenset[str]:
    return frozenset(_stem(word) for word in _plain_words())


@cache
def _plain_pairs() -> frozenset[str]:
    return frozenset(_lists()["zh"].split())
