"""The branch of a conversation that is shown, as a Markdown file, and back.

People read the headings; `<!-- qwell: ... -->` lines tell where a message begins, so that the file
can be read again whatever the messages say. Knows no store and no HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_MARK = re.compile(r"^<!-- qwell: (user|assistant|system) -->$")
_TITLE = "# "
_HEADINGS = {"user": "## 🧑 User", "assistant": "## 🤖 Assistant", "system": "## ⚙ System"}
# a line of a message that looks like a mark gets one more backslash, and loses it again
_ESCAPABLE = re.compile(r"^<!-- (\\*)qwell: ")


@dataclass(frozen=True, slots=True)
class Said:
    role: str
    content: str


def write(title: str, messages: Iterable[Said]) -> str:
    parts = [f"{_TITLE}{' '.join(title.split())}\n"]
    for message in messages:
        body = "\n".join(_escaped(line) for line in message.content.split("\n"))
        parts.append(f"<!-- qwell: {message.role} -->\n{_HEADINGS[message.role]}\n\n{body}\n")
    return "\n".join(parts)


def read(text: str) -> tuple[str, list[Said]]:
    """Title and messages as they were written, with line ends of one kind.

    Raises ValueError for other files.
    """
    lines = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}").replace("\r\n", "\n").split("\n")
    if not lines[0].startswith(_TITLE):
        raise ValueError("the first line must be `# ` and the title")
    starts = [at for at, line in enumerate(lines) if _MARK.match(line)]
    if not starts:
        raise ValueError("no line `<!-- qwell: user -->` begins a message")
    ends = [*starts[1:], len(lines)]
    said = [_message(lines[start:end]) for start, end in zip(starts, ends, strict=True)]
    return lines[0].removeprefix(_TITLE).strip(), said


def _message(lines: list[str]) -> Said:
    """A mark, a heading, an empty line, the text, an empty line."""
    mark = _MARK.match(lines[0])
    assert mark
    role = mark.group(1)
    body = lines[1:]
    if body and body[0] == _HEADINGS[role]:
        body = body[1:]
    if body and not body[0]:
        body = body[1:]
    if body and not body[-1]:
        body = body[:-1]
    return Said(role, "\n".join(_unescaped(line) for line in body))


def _escaped(line: str) -> str:
    return _ESCAPABLE.sub(r"<!-- \1\\qwell: ", line)


def _unescaped(line: str) -> str:
    found = _ESCAPABLE.match(line)
    return line.replace("\\qwell: ", "qwell: ", 1) if found and found.group(1) else line
