"""Of the lines that are too many to be read word by word, those that hold a message we know.

One look for each anchor over all of them together, then the pattern on the lines that hold it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate, islice

from qwell.doctor.catalogue import Catalogue
from qwell.doctor.line import Line
from qwell.doctor.read_lines import line_of
from qwell.doctor.read_named import ANCHORS_OF_NAMES, named_in
from qwell.doctor.read_pattern import anchors, compiled

MOST_TRIES = 250  # lines on which one pattern is tried
ENOUGH = 4  # lines with the same message


def lines_with_messages(
    rest: Mapping[int, str], catalogue: Catalogue, worked: re.Pattern[str]
) -> list[Line]:
    """In their order. worked: what says that a retry helped, which is wanted from its last line."""
    if not rest:
        return []
    whole = _Whole(rest)
    found = {*whole.with_patterns(catalogue), *whole.with_names(), *whole.last(worked)}
    lines = (line_of(number, rest[number]) for number in sorted(found))
    return [line for line in lines if line is not None]


class _Whole:
    """All lines as one lower-case text."""

    def __init__(self, rest: Mapping[int, str]) -> None:
        self._numbers = list(rest)
        self._raw = rest
        lowered = [raw.lower() for raw in rest.values()]
        self._starts = [0, *accumulate(len(text) + 1 for text in lowered)]
        self._text = "\n".join(lowered)

    def with_patterns(self, catalogue: Catalogue) -> Iterator[int]:
        for pattern in sorted(catalogue.anchors_in_logs.possible_in_long(self._text)):
            yield from islice(self._matching(pattern), ENOUGH)

    def _matching(self, pattern: str) -> Iterator[int]:
        search = compiled(pattern).search
        for anchor in anchors(pattern):
            for number in islice(self._holding(anchor), MOST_TRIES):
                line = line_of(number, self._raw[number]) if "^" in pattern else None
                if search(line.text if line else self._raw[number]):
                    yield number

    def with_names(self) -> Iterator[int]:
        for anchor in ANCHORS_OF_NAMES:
            for number in islice(self._holding(anchor), MOST_TRIES):
                if any(named_in(self._raw[number])):
                    yield number

    def last(self, wanted: re.Pattern[str]) -> Iterator[int]:
        matching = (n for n in reversed(self._numbers[-MOST_TRIES:]) if wanted.search(self._raw[n]))
        yield from islice(matching, 1)

    def _holding(self, anchor: str) -> Iterator[int]:
        position = self._text.find(anchor)
        while position >= 0:
            which = bisect_right(self._starts, position) - 1
            yield self._numbers[which]
            position = self._text.find(anchor, self._starts[which + 1])
