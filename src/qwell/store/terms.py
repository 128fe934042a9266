"""What a text is found by: words, and pairs of characters where no spaces divide words.

Chinese and Japanese are cut into overlapping pairs, so that any two characters in a row find the
text; the last character of a run stands alone, so that one character finds it, too, as the
beginning of a pair. Knows no database.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

MAX_TERMS = 20_000  # of one message; PostgreSQL refuses indexes of more than a megabyte
MAX_QUERY_TERMS = 32
_MAX_LENGTH = 24  # characters; longer words are found by their beginning

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_RUN = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+")
_IS_CJK = re.compile(rf"[{_CJK}]")


@dataclass(frozen=True, slots=True)
class Term:
    text: str
    is_prefix: bool  # anything that begins so counts


def index_terms(text: str) -> list[str]:
    """Distinct terms in order of appearance, at most MAX_TERMS."""
    found: dict[str, None] = {}
    for run in _RUN.findall(_folded(text)):
        pieces = [*_pairs(run), run[-1]] if _IS_CJK.match(run) else [run[:_MAX_LENGTH]]
        found.update(dict.fromkeys(pieces))
        if len(found) >= MAX_TERMS:
            break
    return list(found)[:MAX_TERMS]


def query_terms(query: str) -> list[Term]:
    """What a text must have, all of it, to be found; empty when nothing can be looked for."""
    found: dict[Term, None] = {}
    for run in _RUN.findall(_folded(query)):
        if not _IS_CJK.match(run):
            found[Term(run[:_MAX_LENGTH], is_prefix=True)] = None
        elif len(run) == 1:
            found[Term(run, is_prefix=True)] = None
        else:
            found.update({Term(pair, is_prefix=False): None for pair in _pairs(run)})
    return list(found)[:MAX_QUERY_TERMS]


def excerpt(text: str, query: str, radius: int = 48) -> str:
    """Where the query shows in the text, on one line; the beginning when it shows nowhere."""
    plain = " ".join(text.split())
    words = [re.escape(word) for word in query.split()]
    hit = re.search("|".join(words), plain, re.IGNORECASE) if words else None
    at = hit.start() if hit else 0
    start, end = max(0, at - radius), at + radius
    before, after = "…" if start else "", "…" if end < len(plain) else ""
    return f"{before}{plain[start:end]}{after}"


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)]
