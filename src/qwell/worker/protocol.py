"""Lines of JSON between parent and child (docs/worker-protocol.md), with a size bound.

Knows nothing of processes, pipes or the engine.
"""

from __future__ import annotations

import json
from typing import Any

_to_json = json.JSONEncoder(separators=(",", ":")).encode
MAX_LINE_BYTES = 16 * 2**20  # a context of 32768 tokens is well below one megabyte of text


class ProtocolError(Exception):
    """The other side sent something that is no message: a bug or a foreign writer on the pipe."""


def encode(message: dict[str, Any]) -> bytes:
    """One line, newline included. Raises ProtocolError above MAX_LINE_BYTES."""
    # ASCII escapes keep lone surrogates, which JSON clients may send, from breaking the pipe
    line = _to_json(message).encode("ascii") + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise ProtocolError(f"message of {len(line)} bytes; at most {MAX_LINE_BYTES}")
    return line


def decode(line: bytes) -> dict[str, Any]:
    """Inverse of encode. Raises ProtocolError for anything but an object with an op."""
    if len(line) > MAX_LINE_BYTES:
        raise ProtocolError(f"line of {len(line)} bytes; at most {MAX_LINE_BYTES}")
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"no JSON: {line[:80]!r}") from error
    if not isinstance(message, dict) or not isinstance(message.get("op"), str):
        raise ProtocolError(f"no message: {line[:80]!r}")
    return message
