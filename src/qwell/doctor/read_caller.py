"""A container that is refused at localhost: its line says both, for it calls itself.

Which container printed a line is known from the prefix of compose, which is cut off before
signatures are tried. Knows no fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from qwell.doctor.line import Line

_LOCALHOST = r"(?:\blocalhost\b|\b127\.0\.0\.1\b|\[?::1\]?:)"
_REFUSED = r"(?:refused|ECONNREFUSED|all connection attempts failed)"
_REFUSED_AT_HOME = re.compile(
    rf"{_LOCALHOST}.{{0,200}}{_REFUSED}|{_REFUSED}.{{0,300}}{_LOCALHOST}", re.IGNORECASE
)


def with_callers(lines: Iterable[Line]) -> Iterator[Line]:
    """The same lines; those of a container that is refused at localhost end with its name."""
    for line in lines:
        if line.container and _REFUSED_AT_HOME.search(line.text):
            yield replace(line, text=f"{line.text} (called from container {line.container})")
        else:
            yield line
