"""Writes web/src/api_types.ts from the server's own types, or with --check fails when it is stale.

Bodies come from the OpenAPI document, events from core.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from qwell import config, core
from qwell.server.app import create_app
from qwell.worker.supervisor import Supervisor

FILE = Path(__file__).parent.parent / "web" / "src" / "api_types.ts"
HEAD = (
    "/** Made by scripts/generate_api_types.py from the server's own types. Not to be edited. */\n"
)
BODIES = ("ChatIn", "ConversationIn", "ChangeIn")
EVENTS = (core.Queued, core.Loading, core.Prefill, core.Delta, core.Notice, core.Done, core.Failed)
_RARE = ("logprobs", "tool_calls", "stop", "retry_after_s")
_SIMPLE = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean"}

Schema = Mapping[str, Any]


def page() -> str:
    settings = config.load({})[0]
    document = create_app(settings, Supervisor(settings)).openapi()
    schemas: dict[str, Schema] = document["components"]["schemas"]
    bodies = _with_parts(BODIES, schemas)
    events: dict[str, Schema] = {}
    for event in EVENTS:
        schema = TypeAdapter(event).json_schema(ref_template="#/components/schemas/{model}")
        events |= {**schema.pop("$defs", {}), f"{event.__name__}Event": schema}
    parts = [_interface(name, schemas[name], is_sent=True) for name in bodies]
    parts += [_interface(name, schema, is_sent=False) for name, schema in events.items()]
    return "\n".join([HEAD, *parts])


def _with_parts(names: tuple[str, ...], schemas: Mapping[str, Schema]) -> list[str]:
    """These and all that they refer to, by name."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(schemas[name])
    return sorted(found)


def _references(schema: Any) -> list[str]:
    if isinstance(schema, Mapping):
        own = [_named(schema["$ref"])] if "$ref" in schema else []
        return own + [name for part in schema.values() for name in _references(part)]
    return (
        [name for part in schema for name in _references(part)] if isinstance(schema, list) else []
    )


def _interface(name: str, schema: Schema, *, is_sent: bool) -> str:
    """Of what is sent, what has a default may be left out; of events only the rare parts are."""
    required = set(schema.get("required", ()))
    lines = [
        f"  {key}{'?' if _may_be_absent(key, required, is_sent=is_sent) else ''}: {_type(part)};"
        for key, part in schema.get("properties", {}).items()
    ]
    return "\n".join([f"export interface {name} {{", *lines, "}", ""])


def _may_be_absent(key: str, required: set[str], *, is_sent: bool) -> bool:
    return key not in required if is_sent else key in _RARE


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        return _named(schema["$ref"])
    if "enum" in schema:
        return " | ".join(f'"{value}"' for value in schema["enum"])
    if "const" in schema:
        return f'"{schema["const"]}"'
    if "anyOf" in schema:
        return " | ".join(map(_type, schema["anyOf"]))
    return _structure(schema)


def _structure(schema: Schema) -> str:
    match schema.get("type"):
        case "array":
            inner = _type(schema.get("items", {}))
            return f"readonly ({inner})[]" if "|" in inner else f"readonly {inner}[]"
        case "object":
            values = schema.get("additionalProperties", True)
            return f"Record<string, {'unknown' if values is True else _type(values)}>"
        case "null":
            return "null"
        case kind:
            return _SIMPLE.get(str(kind), "unknown")


def _named(reference: str) -> str:
    return reference.rpartition("/")[2].replace("-", "_")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if stale")
    if parser.parse_args().check:
        is_fresh = FILE.is_file() and FILE.read_text(encoding="utf-8") == page()
        print(f"{FILE.name}: {'up to date' if is_fresh else 'run scripts/generate_api_types.py'}")
        return 0 if is_fresh else 1
    FILE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
