"""The text that a command is given: a file's, or what comes on standard input. Judges nothing.

Of what is larger than can be read, the beginning and the end.
"""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from qwell.cli.text_bytes import text_of
from qwell.errors import QwellError

HALF = 32 * 2**20  # bytes of the beginning, and of the end
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Given:
    """unread: bytes in the middle that were left out; an empty line stands for each of theirs."""

    text: str
    unread: int = 0


def given_text(name: str, *, expected: str, fix: str) -> Given:
    """The file's content, or standard input for a dash.

    Raises QwellError ``permission-denied``, ``file-missing`` or ``text-unreadable`` with what was
    expected, and the fix.
    """
    try:
        if name == "-":
            content, unread = _ends(sys.stdin.buffer)
        else:
            with Path(name).open("rb") as file:
                content, unread = _ends(file)
    except OSError as error:
        raise QwellError(
            "permission-denied" if isinstance(error, PermissionError) else "file-missing",
            found=f"{name}: {error.strerror or error}",
            expected=expected,
            fix=fix,
        ) from error
    text = text_of(content)
    if text is None:
        raise QwellError(
            "text-unreadable", found=f"{name}: this is no text", expected=expected, fix=fix
        )
    return Given(text, unread)


def _ends(stream: BinaryIO) -> tuple[bytes, int]:
    """All of it, or both ends with the line ends of what is between, whose bytes are counted."""
    head = _exactly(stream, HALF)
    tail: deque[bytes] = deque()
    n_tail = n_lines = unread = 0
    while chunk := stream.read(_CHUNK):
        tail.append(chunk)
        n_tail += len(chunk)
        while n_tail - len(tail[0]) >= HALF:
            left_out = tail.popleft()
            n_tail -= len(left_out)
            unread += len(left_out)
            n_lines += left_out.count(b"\n")
    return b"".join((head, b"\n" * n_lines, *tail)), unread


def _exactly(stream: BinaryIO, n_bytes: int) -> bytes:
    """That many bytes, or all there are."""
    parts: list[bytes] = []
    left = n_bytes
    while left and (part := stream.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
