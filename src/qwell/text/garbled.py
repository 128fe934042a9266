"""Notices text whose bytes were read in the wrong encoding, or were no text to begin with.

Knows the marks that such text leaves in any language; knows nothing of how it came about.
"""

from __future__ import annotations

import re
from unicodedata import category

ENOUGH = 3  # marks in one answer; single ones occur in honest text
_LONGEST_MARK = 4  # characters
_HIGH = bytes(range(0x80, 0xC0))  # what follows the first byte of a character in UTF-8
_READ_WRONG = set(_HIGH.decode("latin-1") + _HIGH.decode("cp1252", "ignore"))
_TAIL = f"[{''.join(sorted(_READ_WRONG))}]"
# quotes and dashes are usual after a capital like É
_ODD_TAIL = f"[{''.join(sorted(c for c in _READ_WRONG if category(c)[0] != 'P'))}]"
_MARK = re.compile(
    "\ufffd"
    f"|[\u00c2-\u00df]{_ODD_TAIL}"  # UTF-8 of two bytes read as Latin-1: é is Ã©
    f"|[\u00e0-\u00ef]{_TAIL}{{2}}|[\u00f0-\u00f4]{_TAIL}{{3}}"  # of three and of four
    "|锟斤拷"  # U+FFFD in UTF-8 read as GBK
)


def count_marks(text: str) -> int:
    """How many characters look as if they had been others."""
    return len(_MARK.findall(text))


class GarbledWatch:
    """Call `push` for each piece of one answer, in order."""

    def __init__(self) -> None:
        self._tail = ""
        self._n_marks = 0
        self._told = False

    def push(self, text: str) -> bool:
        """True once: with the piece that makes the answer garbled."""
        text = self._tail + text
        if text.isascii() or self._told:
            self._tail = ""
            return False
        self._n_marks += count_marks(text)
        # what may be the beginning of a mark is looked at again, what was counted is not
        last = max((found.end() for found in _MARK.finditer(text)), default=0)
        self._tail = text[max(last, len(text) - _LONGEST_MARK + 1) :]
        self._told = self._n_marks >= ENOUGH
        return self._told
