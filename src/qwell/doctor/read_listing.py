"""A command that lists a folder, and below it that there is nothing: one line says both.

Signatures look at one line at a time; what `ls` shows of an empty folder is several, or none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from qwell.doctor.line import Line

_LS = re.compile(
    r"(?:^\s*|[$#>%\u4e00-\u9fff]\s*|\bexec\s.{0,120}\s|[\"'`])(?:ls|dir)(?:\s+-{1,2}[\w-]+)*\s+"
    r"(?P<path>[\w./~-]*[\w/~])(?P<rest>.*)$"
)
_SAID_EMPTY = re.compile(
    r"(?<![\w-])(?:(?:is |was |prints |shows |gives |returns )?"
    r"(?:empty|nothing|no (?:output|files))"
    r"|(?:是|为|显示)?(?:空的?|没有文件|什么(?:都|也)没有|无输出))(?![\w-])",
    re.IGNORECASE,
)
_TOTAL = re.compile(r"^\s*(?:total|总用量|总计)\s+(?P<blocks>\d+)\s*$", re.IGNORECASE)
_SELF = re.compile(r"^\s*(?:[d-][rwxsStT-]{9}[.+@]?\s.*\s)?\.{1,2}/?(?:\s+\.{1,2})?\s*$")
_EMPTY = re.compile(
    r"^\s*[(（<\[]?\s*(?:empty|空的?|nothing|no output|无输出|没有输出|什么都没有)"
    r"\s*[)）>\]]?\s*$",
    re.IGNORECASE,
)
_ENTRY = re.compile(r"^\s*[bcdlps-][rwxsStT-]{9}")


def with_empty_folders(lines: Sequence[Line]) -> Iterator[Line]:
    """The same lines; those that list an empty folder end with "(nothing in PATH)"."""
    for at, line in enumerate(lines):
        listed = _LS.search(line.text)
        if listed and _is_empty(listed["rest"], lines[at + 1 :]):
            yield replace(line, text=f"{line.text} (nothing in {listed['path']})")
        else:
            yield line


def _is_empty(rest: str, below: Sequence[Line]) -> bool:
    if _SAID_EMPTY.search(rest):
        return True
    n_seen, is_plain = 0, False
    for line in below:
        total = _TOTAL.match(line.text)
        if not (total or _SELF.match(line.text) or _EMPTY.match(line.text)):
            return n_seen > 0 and is_plain and not _ENTRY.match(line.text)
        n_seen += 1
        is_plain |= not total or total["blocks"] == "0"
    return n_seen > 0 and is_plain
