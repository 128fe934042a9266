"""Faults that a line names by their id, or by a sentence that only this program writes.

Knows how errors are printed, logged and sent; not which ids exist: others mean nothing later on.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from qwell.doctor.read_pattern import compiled

OWN = Path(__file__).with_name("own_faults.toml")
_ID = r"(?P<id>[a-z][a-z0-9]*(?:-[a-z0-9]+)+)(?![\w-])"
_SAID = re.compile(
    rf"""(?:\b[Ff]ault=["']?
      |\b(?:fault|code)["']:\s?["']
      |(?:^|\s)error:\s(?={_ID.replace("?P<id>", "?:")}\s*(?:$|[:;.]|found\b))
      |\berror\[
      |\[(?={_ID.replace("?P<id>", "?:")}\]\sfound:)
      |/faults/
    ){_ID}""",
    re.VERBOSE,
)
ANCHORS_OF_NAMES = ("fault=", "fault'", 'fault"', "/faults/", "error: ", "error[", "] found:")
_HINTS = ("fault", "code", "error", "found:")


def named_in(text: str) -> Iterator[str]:
    """Ids in the order in which they stand; more than once where they are repeated."""
    if any(hint in text for hint in _HINTS):
        yield from (match["id"] for match in _SAID.finditer(text))
    for fault, patterns in _sentences().items():
        if any(compiled(pattern).search(text) for pattern in patterns):
            yield fault


@cache
def _sentences() -> dict[str, tuple[str, ...]]:
    """By fault: messages of this program's own failures, where they say it without the id."""
    entries = tomllib.loads(OWN.read_text(encoding="utf-8"))["fault"]
    return {entry["id"]: tuple(entry["said"]) for entry in entries if "said" in entry}
