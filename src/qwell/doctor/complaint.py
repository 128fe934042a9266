"""Whether a chat message is plainly a complaint about the system itself, or a pasted log.

Ordinary talk must not be disturbed: questions, requests, code, and trouble with other programs are
none. A pure function of the text.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from qwell.doctor import consult
from qwell.doctor.read_lines import split
from qwell.doctor.wording import is_ordinary

LONGEST = 200_000  # characters that are looked at: the end of a log says what happened
_SHORTEST = 6
_WORDS_NEED = 0.85  # probability, where no line of a log speaks
_LONGEST_WORDS = 1_500  # characters of a complaint without a log


@dataclass(frozen=True, slots=True)
class Offer:
    """faults: those that the message may be about, likeliest first; empty if only asked for."""

    kind: Literal["complaint", "log"]
    faults: tuple[str, ...]


def complaint(text: str) -> Offer | None:
    """An offer for what is plainly one of the two; None for everything else."""
    text = text.strip()[-LONGEST:]
    if len(text) < _SHORTEST or is_ordinary(text):
        return None
    lines = split(text)
    prose = "\n".join(line.text for line in lines if line.is_prose)
    may_be_log = len(lines) > 1 and any(not line.is_prose for line in lines)
    is_asked = len(prose) <= _LONGEST_WORDS and _asks_for_diagnosis(prose)
    if not may_be_log and not is_asked and not _is_about_us(prose):
        return None
    verdict = consult.diagnose_text(text)
    if verdict["verdict"] != "fault":
        return Offer("complaint", ()) if is_asked else None
    faults = tuple(fault["id"] for fault in verdict["faults"])
    first = verdict["faults"][0]
    if may_be_log and _is_cited(first) and not _is_talk(prose):
        return Offer("log", faults)
    is_sure = first["p"] >= _WORDS_NEED and len(prose) <= _LONGEST_WORDS
    return Offer("complaint", faults) if is_asked or (is_sure and _is_about_us(prose)) else None


def _is_cited(fault: Mapping[str, Any]) -> bool:
    return any(item["line"] for item in fault["evidence"])


def _is_about_us(prose: str) -> bool:
    return _names_us(prose) and not _is_talk(prose)


def _asks_for_diagnosis(prose: str) -> bool:
    """In so many words, also as a request to an assistant."""
    return _wordings()["asks"].search(prose) is not None and _names_us(prose)


def _names_us(prose: str) -> bool:
    wordings = _wordings()
    return wordings["ours"].search(prose) is not None and wordings["others"].search(prose) is None


def _is_talk(prose: str) -> bool:
    return _wordings()["talk"].search(prose) is not None


@cache
def _wordings() -> dict[str, re.Pattern[str]]:
    path = Path(__file__).with_name("complaint.toml")
    lists = tomllib.loads(path.read_text(encoding="utf-8"))
    return {name: re.compile("|".join(some), re.IGNORECASE) for name, some in lists.items()}
