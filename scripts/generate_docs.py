"""Writes docs/reference/cli.md from the parser and http.md from the OpenAPI document.

With --check it writes nothing and fails when one of them is out of date.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qwell.cli.parser import build_parser
from qwell.config import load
from qwell.server.app import create_app
from qwell.worker.supervisor import Supervisor

FOLDER = Path(__file__).parent.parent / "docs" / "reference"
HEAD = """\
# The command line

Made from the program's own `--help` by `scripts/generate_docs.py`. Exit codes: 0 done, 1 what was
asked for is not so, 2 an error, shown with what was found, what was expected and what to do.
"""


HTTP_HEAD = """\
# HTTP

Made from the server's OpenAPI document by `scripts/generate_docs.py`. A running server shows the
same at `/docs`, to be tried, and as JSON at `/openapi.json`. What stands behind the client APIs:
[The APIs](../api.md); errors: [Faults](../faults/README.md).

Events of an answer: `{"seq": n, "type": ...}` with `queued`, `loading`, `prefill`, `delta` and
`notice`, then exactly one of `done` and `error`. Over WebSocket, at `/ws/chat`, a client sends
`{"op": "chat", ...}` with the fields of `POST /api/chat`, `{"op": "stop"}`,
`{"op": "resume", "stream": ..., "from": n}` and `{"op": "ping"}`.
"""
Schema = Mapping[str, Any]


def pages() -> dict[Path, str]:
    return {FOLDER / "cli.md": command_line(), FOLDER / "http.md": http()}


def command_line() -> str:
    return "\n".join([HEAD, *(_section(name, command) for name, command in _commands().items())])


def _commands() -> dict[str, argparse.ArgumentParser]:
    actions = build_parser()._actions  # noqa: SLF001  argparse has no public list of them
    choices = next(a.choices for a in actions if isinstance(a, argparse._SubParsersAction))  # noqa: SLF001  the same
    assert isinstance(choices, dict)
    return choices


def _section(name: str, command: argparse.ArgumentParser) -> str:
    rows = [_row(a) for a in command._actions if a.dest != "help"]  # noqa: SLF001  the same
    table = ["| argument | meaning |", "|---|---|", *rows] if rows else []
    about = command.description or ""
    title = [f"## `qwell {name}`", "", f"{about[:1].upper()}{about[1:]}.", ""]
    return "\n".join([*title, *table, ""])


def _row(action: argparse.Action) -> str:
    flag = action.option_strings[-1] if action.option_strings else f"[{action.dest}]"
    value = f" {action.metavar}" if action.option_strings and action.metavar else ""
    return f"| `{flag}{value.replace('|', chr(92) + '|')}` | {action.help} |"


def http() -> str:
    """Routes by their tag, then the objects that they take."""
    settings = load({})[0]
    document = create_app(settings, Supervisor(settings)).openapi()
    parts, tag = [HTTP_HEAD], ""
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            if route["tags"][0] != tag:
                tag = route["tags"][0]
                parts.append(f"## {tag}\n")
            parts.append(_route(f"{method.upper()} {path}", route))
    parts.append("## Objects\n")
    schemas: Mapping[str, Schema] = document["components"]["schemas"]
    parts += [
        _object(name, schema)
        for name, schema in sorted(schemas.items())
        if not name.endswith("ValidationError")  # the framework's own, which is never answered
    ]
    return "\n".join(parts)


def _route(name: str, route: Schema) -> str:
    lines = [f"### `{name}`", "", _prose(route), ""]
    rows = [
        f"| `{it['name']}` | {it['in']} | {_type(it['schema'])} |"
        for it in route.get("parameters", [])
    ]
    if rows:
        lines += ["| parameter | in | type |", "|---|---|---|", *rows, ""]
    if body := route.get("requestBody"):
        lines += [f"Body: {_type(body['content']['application/json']['schema'])}.", ""]
    return "\n".join(lines)


def _object(name: str, schema: Schema) -> str:
    lines = [f"### {name}", "", *([_prose(schema), ""] if "description" in schema else [])]
    wanted = schema.get("required", [])
    rows = [
        f"| `{field}` | {_type(it)} | {_default(field in wanted, it)} |"
        for field, it in schema.get("properties", {}).items()
    ]
    table = ["| field | type | default |", "|---|---|---|", *rows] if rows else []
    return "\n".join([*lines, *table, ""])


def _prose(described: Schema) -> str:
    return str(described.get("description", "")).replace("<", "&lt;")


def _default(is_required: bool, schema: Schema) -> str:
    if is_required:
        return "required"
    value = schema.get("default")
    return "" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def _type(schema: Schema) -> str:
    """In a table's cell: names of objects lead to their section."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if kinds := schema.get("anyOf", schema.get("oneOf")):
        return " or ".join(_type(kind) for kind in kinds)
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return ", ".join(f"`{json.dumps(value)}`" for value in values)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}{_bounds(schema)}"
    return f"{schema.get('type', 'anything')}{_bounds(schema)}"


def _bounds(schema: Schema) -> str:
    words = {
        "minimum": "from {}", "maximum": "up to {}", "exclusiveMinimum": "above {}",
        "exclusiveMaximum": "below {}", "minLength": "at least {} long",
        "maxLength": "at most {} long", "minItems": "at least {}", "maxItems": "at most {}",
        "pattern": "like `{}`",
    }  # fmt: skip
    said = [text.format(_number(schema[name])) for name, text in words.items() if name in schema]
    return f" ({', '.join(said)})" if said else ""


def _number(bound: Any) -> Any:
    """130000, not 130000.0; a pattern must not end its table's cell."""
    if isinstance(bound, float) and bound.is_integer():
        return int(bound)
    return str(bound).replace("|", "\\|") if isinstance(bound, str) else bound


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if stale")
    is_check = parser.parse_args().check
    stale = [
        path
        for path, text in pages().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    if is_check:
        names = ", ".join(path.name for path in stale)
        print(f"{names}: run scripts/generate_docs.py" if stale else "references: up to date")
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
