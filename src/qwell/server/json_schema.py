"""JSON schemas as clients send them: bounded before anything else looks at them.

Does not judge what a schema says; the engine refuses one that it cannot follow.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator

MAX_DEPTH = 32
MAX_CHARS = 100_000


def _bounded(schema: dict[str, Any]) -> dict[str, Any]:
    if _is_deeper(schema, MAX_DEPTH):
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
    if len(json.dumps(schema)) > MAX_CHARS:
        raise ValueError(f"longer than {MAX_CHARS} characters")
    return schema


def _is_deeper(value: Any, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(_is_deeper(item, depth - 1) for item in inner)


Schema = Annotated[dict[str, Any], AfterValidator(_bounded)]
