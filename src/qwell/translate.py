"""What errors say, in the language of whoever reads it: from finished English text to Chinese.

Errors are written in English where they are raised, and cross pipes and logs so; only where they
are shown the text is recognised by its template in translate.toml. What is not recognised stays
as it is. Knows no error and no terminal.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from qwell.errors import QwellError

Language = Literal["zh", "en"]
FILE = Path(__file__).with_suffix(".toml")
_GAP = re.compile(r"\{(\d)\}")
_JOINT = ("", " (expected: ", ")")
_DEEPEST = 4  # texts in texts
_LONGEST = 4000  # characters; what is longer was pasted into an error


@dataclass(frozen=True, slots=True)
class Template:
    """English around its gaps, and the Chinese with the same gaps."""

    english: tuple[str, ...]
    chinese: str

    @property
    def n_fixed(self) -> int:
        """Characters that are the template's own: the more, the surer."""
        return sum(map(len, self.english))

    def read(self, text: str) -> list[str] | None:
        """What stands in the gaps, each as short as can be; None for another text."""
        first, *middle = self.english
        if not middle:
            return [] if text == first else None
        *middle, last = middle
        end = len(text) - len(last)
        if end < len(first) or not (text.startswith(first) and text.endswith(last)):
            return None
        gaps, at = [], len(first)
        for fixed in middle:
            found = text.find(fixed, at, end)
            if found < 0:
                return None
            gaps.append(text[at:found])
            at = found + len(fixed)
        return [*gaps, text[at:end]]


@cache
def templates() -> tuple[Template, ...]:
    """What joins two texts first, as either may be any other; then the surest."""
    file = tomllib.loads(FILE.read_text(encoding="utf-8"))
    pairs = {**file["others"], **dict.fromkeys(file["same"]), **file["texts"]}
    known = [Template(tuple(_GAP.split(en)[::2]), zh or en) for en, zh in pairs.items()]
    return tuple(sorted(known, key=lambda it: (it.english != _JOINT, -it.n_fixed)))


def translated(text: str, language: Language) -> str:
    """The text in this language, as far as it is known."""
    return _chinese(text, _DEEPEST) if language == "zh" and len(text) <= _LONGEST else text


def translated_error(error: QwellError, language: Language) -> QwellError:
    """The same error in this language."""
    if language == "en":
        return error
    return QwellError(
        error.fault,
        found=translated(error.found, language),
        expected=translated(error.expected, language),
        fix=translated(error.fix, language),
        retry_after_s=error.retry_after_s,
    )


def joined(error: QwellError, language: Language) -> str:
    """All that an error says, in one line."""
    error = translated_error(error, language)
    if language == "zh":
        return f"{error.found}。应为：{error.expected}。解决办法：{error.fix}"
    return f"{error.found}. Expected: {error.expected}. Fix: {error.fix}"


def preferred(accepted: str) -> Language:
    """The language that an Accept-Language header prefers; English where it names none of ours."""
    for name in _by_weight(accepted.split(",")):
        if name.startswith("zh"):
            return "zh"
        if name.startswith("en"):
            return "en"
    return "en"


def _by_weight(ranges: Iterable[str]) -> list[str]:
    weighed = []
    for one in ranges:
        name, _, weight = one.strip().lower().partition(";q=")
        try:
            weighed.append((-float(weight or 1), name))
        except ValueError:
            continue
    return [name for weight, name in sorted(weighed, key=lambda pair: pair[0]) if weight < 0]


def _chinese(text: str, depth: int) -> str:
    if depth == 0 or not text.strip():
        return text
    for template in templates():
        gaps = template.read(text)
        if gaps is not None:
            values = [_chinese(gap, depth - 1) for gap in gaps]
            return _filled(template.chinese, values)
    return text


def _filled(text: str, values: list[str]) -> str:
    return _GAP.sub(lambda gap: values[int(gap[1]) - 1], text)
