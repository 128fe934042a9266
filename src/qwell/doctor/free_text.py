"""Which of the fixed choices a person's own words mean, by rules alone.

Only what is plain: everything else is "" and asked again. Knows no fault.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

from qwell.doctor.case import Question

_LONGEST = 60  # characters; whoever writes more brings news, not a choice
_NUMBER = re.compile(r"(?:option |choice |第)?([1-9])(?:个|条|项)?[.)。]?", re.IGNORECASE)


def chosen(text: str, question: Question) -> str:
    """The id of the choice, "" when it is not plain."""
    said = text.strip()
    if not said or len(said) > _LONGEST or "\n" in said:
        return ""
    if number := _NUMBER.fullmatch(said):
        which = int(number[1]) - 1
        return question.choice_ids[which] if which < len(question.choices) else ""
    for choice in question.choices:
        names = (choice.id, choice.label.zh, choice.label.en)
        if said.casefold().rstrip(".。!！") in {name.casefold().rstrip(".。") for name in names}:
            return choice.id
    plain = [name for name, pattern in _plain().items() if pattern.fullmatch(said)]
    return next((name for name in plain if name in question.choice_ids), "")


@cache
def _plain() -> dict[str, re.Pattern[str]]:
    path = Path(__file__).with_name("free_text.toml")
    ways = tomllib.loads(path.read_text(encoding="utf-8"))
    return {name: re.compile(f"(?:{way})[.!。！ ]*", re.IGNORECASE) for name, way in ways.items()}
