"""What an answer may look like, as a grammar: JSON of a schema, calls of the tools on offer.

Writes Lark as llguidance reads it. Knows how Qwen2.5 writes calls (see tool_calls.py); knows no
tokens, and does not judge schemas: whoever compiles the grammar does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from qwell.text.tool_calls import CLOSE, OPEN

Schema = Mapping[str, Any]
# Unbounded white space is where a small model gets lost; this holds any sane indentation.
_JSON_STYLE = {"whitespace_pattern": r"[ \n]{0,40}"}
_ANY_TEXT = "TEXT: /(.|\\n)*/"


def answer_grammar(
    *,
    reply: Schema | None = None,
    tools: Sequence[Mapping[str, Any]] = (),
    must_call: bool = False,
    one_call: bool = False,
) -> str:
    """The grammar of an answer; empty when every answer will do.

    reply      schema of the answer's text; None: any text
    must_call  the answer is calls and nothing else; one_call: at most one
    """
    if not tools:
        return "" if reply is None else f"start: {_json(reply)}"
    calls = "call" if one_call else 'call ("\\n" call)*'
    opening = f"call: {_literal(OPEN)} body"
    if must_call:
        start = [f"start: {calls}", opening]
    elif reply is not None:
        start = [f"start: reply | {calls}", f"reply: {_json(reply)}", opening]
    else:  # whatever text, until an opening tag makes it a call
        answer = "opened body | TEXT" if one_call else "(opened body)* TEXT"
        start = [f"start: {answer}", f"opened[lazy]: TEXT {_literal(OPEN)}", _ANY_TEXT]
    return "\n".join([*start, *_body(tools)])


def _body(tools: Sequence[Mapping[str, Any]]) -> list[str]:
    """The rules behind an opening tag: one alternative for each tool."""
    functions = [tool["function"] for tool in tools]
    names = " | ".join(f"tool_{i}" for i in range(len(functions)))
    rules = [f'body: "\\n" ({names}) {_literal(chr(10) + CLOSE)}']
    for i, function in enumerate(functions):
        head = f'{{"name": {json.dumps(function["name"])}, "arguments": '
        rules.append(f"tool_{i}: {_literal(head)} arguments_{i} {_literal('}')}")
        rules.append(f"arguments_{i}: {_json(_closed(function.get('parameters')))}")
    return rules


def _closed(parameters: Schema | None) -> Schema:
    """The same schema, without arguments that it does not name: nobody would read them."""
    schema = dict(parameters or {})
    if schema.keys() & {"$ref", "allOf", "anyOf", "oneOf", "patternProperties"}:
        return schema  # these name arguments in ways of their own
    return {"type": "object", "additionalProperties": False, **schema}


def _json(schema: Schema) -> str:
    return "%json " + json.dumps({**schema, "x-guidance": _JSON_STYLE})


def _literal(text: str) -> str:
    return json.dumps(text)
