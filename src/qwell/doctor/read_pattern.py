"""Patterns with an anchor: text that a line must contain before the pattern is tried on it.

A substring search is far cheaper than a regular expression, and most patterns do not occur in
most logs. Patterns are compiled when their anchor first occurs. Knows nothing of faults.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache

_BREAKS = frozenset(".^$[(|)")
_QUANTIFIERS = frozenset("?*{")
_SHORTEST = 2


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """Without regard to case; one line at a time."""
    return re.compile(pattern, re.IGNORECASE)


_KNOWN: dict[str, tuple[str, ...]] = {}


def remember(known: Mapping[str, Iterable[str]]) -> None:
    """Anchors that were worked out before, by pattern."""
    _KNOWN.update({pattern: tuple(found) for pattern, found in known.items()})


def anchors(pattern: str) -> tuple[str, ...]:
    """`anchors_of`, worked out once."""
    if (found := _KNOWN.get(pattern)) is None:
        found = _KNOWN[pattern] = anchors_of(pattern)
    return found


def anchors_of(pattern: str) -> tuple[str, ...]:
    """Lower-case texts of which one must occur where the pattern matches; () if unknown.

    The longest run of literal characters outside of groups; where there is none, the anchors of
    the alternatives of the first group that is not optional.
    """
    run = _longest_run(pattern)
    if len(run) >= _SHORTEST or not run.isascii():
        return (run.lower(),)
    for start, end in _groups(pattern):
        if pattern[end + 1 : end + 2] in _QUANTIFIERS or pattern[start : start + 2] != "?:":
            continue
        found = [anchors(part) for part in _alternatives(pattern[start + 2 : end])]
        if all(found):
            return tuple(dict.fromkeys(a for group in found for a in group))
    return ()


class Anchors:
    """Which of many patterns may match a text: one look for each anchor, whoever shares it."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns_of: dict[str, list[str]] = {}
        self._without: list[str] = []
        for pattern in patterns:
            found = anchors(pattern)
            for anchor in found:
                self._patterns_of.setdefault(anchor, []).append(pattern)
            if not found:
                self._without.append(pattern)

    def possible(self, lowered: str) -> frozenset[str]:
        """Patterns of which an anchor occurs in the text, which is in lower case."""
        found = [anchor for anchor in self._patterns_of if anchor in lowered]
        return frozenset(
            {
                *self._without,
                *(pattern for anchor in found for pattern in self._patterns_of[anchor]),
            }
        )

    def possible_in_long(self, lowered: str) -> frozenset[str]:
        """The same for a text of megabytes: first by its different words, which are far fewer."""
        words = "\n".join({*without_digits(lowered).split()})
        found = [a for a in self._patterns_of if _telling_part(a) in words and a in lowered]
        return frozenset(
            {*self._without, *(pattern for a in found for pattern in self._patterns_of[a])}
        )


_DIGITS = re.compile("[0-9]+")


def without_digits(text: str) -> str:
    """ASCII, as most logs are, goes as bytes: ten times as fast; str.translate is slowest."""
    if text.isascii():
        return text.encode("ascii").translate(None, b"0123456789").decode("ascii")
    return _DIGITS.sub("", text)


@cache
def _telling_part(anchor: str) -> str:
    """The longest run without spaces and digits."""
    return max(re.split(r"[\s\d]+", anchor), key=len)


def _longest_run(pattern: str) -> str:
    runs, run, depth, i = [""], "", 0, 0
    while i < len(pattern):
        char = pattern[i]
        step, literal = (2, _escaped(pattern[i + 1 : i + 2])) if char == "\\" else (1, char)
        if char == "[":
            step, literal = _class_end(pattern, i) - i, ""
        elif char in "()":
            depth += 1 if char == "(" else -1
            literal = ""
        elif char in _BREAKS:
            literal = ""
        following = pattern[i + step : i + step + 1]
        if depth or not literal or following in _QUANTIFIERS:
            runs.append(run)
            run = ""
            step += following == "+"
        else:
            run += literal
            if following == "+":
                runs.append(run)
                run, step = "", step + 1
        i += step
        if following in _QUANTIFIERS:
            i = _quantifier_end(pattern, i)
    return max([*runs, run], key=len)


def _escaped(char: str) -> str:
    """The literal that an escape stands for, empty for classes and assertions."""
    return "" if char.isalnum() else char


def _class_end(pattern: str, start: int) -> int:
    i = start + 1
    while pattern[i] != "]" or i == start + 1:
        i += 2 if pattern[i] == "\\" else 1
    return i + 1


def _quantifier_end(pattern: str, i: int) -> int:
    if i < len(pattern) and pattern[i] == "{":
        return pattern.index("}", i) + 1
    return i + 1


def _groups(pattern: str) -> list[tuple[int, int]]:
    """Start and end of what is inside each outermost pair of parentheses."""
    found, depth, start, i = [], 0, 0, 0
    while i < len(pattern):
        char = pattern[i]
        if char == "\\":
            i += 2
            continue
        if char == "[":
            i = _class_end(pattern, i)
            continue
        if char == "(":
            depth += 1
            start = i + 1 if depth == 1 else start
        elif char == ")":
            depth -= 1
            if depth == 0:
                found.append((start, i))
        i += 1
    return found


def _alternatives(pattern: str) -> list[str]:
    parts, depth, start, i = [], 0, 0, 0
    while i < len(pattern):
        char = pattern[i]
        if char == "\\":
            i += 2
            continue
        if char == "[":
            i = _class_end(pattern, i)
            continue
        depth += (char == "(") - (char == ")")
        if char == "|" and depth == 0:
            parts.append(pattern[start:i])
            start = i + 1
        i += 1
    return [*parts, pattern[start:]]
