"""What kind of text it is: a report of trouble, a request to a chat assistant, or all is well.

The wordings, Chinese and English, are in wording.toml. Knows no fault.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

LONGEST_REQUEST = 600  # characters; what is longer was pasted
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    path = Path(__file__).with_name("wording.toml")
    lists = tomllib.loads(path.read_text(encoding="utf-8"))
    return {name: re.compile("|".join(some), re.IGNORECASE) for name, some in lists.items()}


def is_ordinary(text: str) -> bool:
    """A question or request to a chat assistant, and no report of trouble with it."""
    text = text.strip()
    if len(text) > LONGEST_REQUEST:
        return False
    wordings = _patterns()
    if "\n" not in text and wordings["about_words"].match(text):
        return True
    if wordings["trouble"].search(text):
        return False
    if wordings["ordinary"].match(text):
        return True
    return bool(wordings["ordinary_elsewhere"].match(text) and not is_of_our_field(text))


def says_it_works(prose: str) -> bool:
    return _patterns()["works"].search(prose) is not None


def complains(prose: str) -> bool:
    """Something is not as it should be."""
    return _patterns()["complaint"].search(prose) is not None


def asks(prose: str) -> bool:
    """It begins as a question or a request does."""
    return _patterns()["question"].match(prose) is not None


def is_of_our_field(prose: str) -> bool:
    """About models, servers, containers, networks or pages at all."""
    return _patterns()["our_field"].search(prose) is not None


def shows_trouble(log: str) -> bool:
    """A log with any word of failure."""
    return _patterns()["bad"].search(log) is not None


def is_chinese(text: str) -> bool:
    return _CHINESE.search(text) is not None
