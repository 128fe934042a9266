"""Text as words, pairs of Chinese characters, and concepts of the catalogue.

Knows no fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

from qwell.doctor.read_pattern import Anchors, compiled

_CONTEXT = frozenset({"container", "k8s", "windows", "selinux", "localhost", "proxy", "arch"})
_PIECE = re.compile(r"[a-z]+|\d+|[\u4e00-\u9fff]+")
_LONGEST_NUMBER = 4
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


def concepts_in(
    prose: str, head: str, concepts: Mapping[str, tuple[str, ...]], known: Anchors
) -> frozenset[str]:
    """Concepts that the prose expresses, or, for surroundings, the log beside it."""
    lowered, around = prose.lower(), head.lower()
    in_prose = known.possible(lowered)
    in_head = known.possible(around) if around else frozenset()
    return frozenset(
        name
        for name, patterns in concepts.items()
        if _is_in(lowered, patterns, in_prose)
        or (name in _CONTEXT and _is_in(around, patterns, in_head))
    )


def _is_in(text: str, patterns: tuple[str, ...], possible: frozenset[str]) -> bool:
    return any(
        pattern in possible and compiled(_from_a_word(pattern)).search(text) for pattern in patterns
    )


@cache
def _from_a_word(pattern: str) -> str:
    """What begins with a letter matches from the beginning of a word: no "role" in "controlled"."""
    return f"(?<![a-z])(?:{pattern})" if re.match(r"(?:\(\?:)*[a-z]", pattern) else pattern


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


def pieces(text: str) -> Iterator[list[str]]:
    """Runs of words, for pairs of neighbours; Chinese as its characters, pairs and triples.

    Numbers of more than four digits are told by their length no more than by their value.
    """
    run: list[str] = []
    for word in _PIECE.findall(text.lower()):
        if word[0] >= "\u4e00":
            yield run
            run = []
            yield [word[i : i + n] for n in (1, 2, 3) for i in range(len(word) - n + 1)]
        elif word.isdigit():
            run.append(word if len(word) <= _LONGEST_NUMBER else "9")
        else:
            run.append(_stem(word))
    yield run


def tells(word: str) -> bool:
    """It means something on its own."""
    return word not in _STOP
