"""What grammars allow and what not, tried character by character with the byte tokenizer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from qwell.engine.constraint import Grammars
from qwell.errors import QwellError
from qwell.text import Arguments, CallBegun, ToolCallParser
from qwell.text.grammar import answer_grammar
from qwell.worker.loading import scripted_text

GRAMMARS = Grammars(scripted_text(), 259)


def tool(name: str, parameters: Any = None) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


CITY = {
    "type": "object",
    "properties": {"city": {"$ref": "#/$defs/City"}},
    "required": ["city"],
    "$defs": {"City": {"type": "string"}},
}
TOOLS = (tool("weather", CITY), tool("time"))
RAIN = '<tool_call>\n{"name": "weather", "arguments": {"city": "Bonn"}}\n</tool_call>'
NOON = '<tool_call>\n{"name": "time", "arguments": {}}\n</tool_call>'


def allows(grammar: str, text: str) -> bool:
    """Whether text is a whole answer under the grammar."""
    constraint = GRAMMARS.constraint(grammar)
    for token in text.encode():
        try:
            constraint.accept(token)
        except QwellError:
            return False
    return constraint.may_end


def test_without_wishes_there_is_no_grammar() -> None:
    assert answer_grammar() == ""


@pytest.mark.parametrize(
    ("text", "is_allowed"),
    [
        ('{"a": 1}', True),
        ('{\n  "a": 1\n}', True),
        ('{"a":1}', True),
        ('{"a": "x"}', False),
        ('{"b": 1}', False),
        ('{"a": 1} and more', False),
        ("{" + " " * 100, False),
        ("text", False),
    ],
)
def test_a_reply_follows_its_schema(text: str, is_allowed: bool) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    assert allows(answer_grammar(reply=schema), text) == is_allowed


@pytest.mark.parametrize(
    ("text", "is_allowed"),
    [
        ("Just text.", True),
        ("", True),
        (RAIN, True),
        (f"Let me see.\n{RAIN}\n{NOON}", True),
        ("a < b and <tool", True),
        ("<tool_call> is a tag", False),
        (RAIN.replace("weather", "wether"), False),
        (RAIN.replace('"Bonn"', "7"), False),
        (NOON.replace("{}", '{"zone": 1}'), False),
    ],
)
def test_tools_may_be_called_and_then_rightly(text: str, is_allowed: bool) -> None:
    assert allows(answer_grammar(tools=TOOLS), text) == is_allowed


@pytest.mark.parametrize(
    ("wishes", "text", "is_allowed"),
    [
        ({"must_call": True}, RAIN, True),
        ({"must_call": True}, f"{RAIN}\n{NOON}", True),
        ({"must_call": True}, "text", False),
        ({"must_call": True, "one_call": True}, RAIN, True),
        ({"must_call": True, "one_call": True}, f"{RAIN}\n{NOON}", False),
        ({"one_call": True}, f"text {RAIN}", True),
        ({"one_call": True}, f"{RAIN}\n{NOON}", False),
        ({"reply": {"type": "object"}}, '{"a": 1}', True),
        ({"reply": {"type": "object"}}, RAIN, True),
        ({"reply": {"type": "object"}}, "text", False),
    ],
)
def test_how_many_calls_and_what_else(wishes: Any, text: str, is_allowed: bool) -> None:
    assert allows(answer_grammar(tools=TOOLS, **wishes), text) == is_allowed


def test_what_the_grammar_allows_is_what_the_parser_reads() -> None:
    begun, arguments = ToolCallParser().push(RAIN)
    assert begun == CallBegun("weather")
    assert isinstance(arguments, Arguments)
    assert json.loads(arguments.text) == {"city": "Bonn"}


@pytest.mark.parametrize(
    "parameters",
    [
        {"type": "object", "patternProperties": {"^x": {"type": "integer"}}},
        {"allOf": [{"type": "object", "properties": {"x1": {"type": "integer"}}}]},
    ],
)
def test_arguments_named_in_other_ways_are_allowed(parameters: Any) -> None:
    answer = '<tool_call>\n{"name": "f", "arguments": {"x1": 1}}\n</tool_call>'
    assert allows(answer_grammar(tools=(tool("f", parameters),)), answer)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "strange"}, "strange"),
        ({"$ref": "https://example.org/x"}, "example.org"),
        ({"type": "string", "not": {"const": "a"}}, "not"),
    ],
)
def test_a_schema_that_cannot_be_followed_is_refused_with_the_reason(
    schema: Any, says: str
) -> None:
    with pytest.raises(QwellError, match=says) as refused:
        GRAMMARS.constraint(answer_grammar(reply=schema))
    assert refused.value.fault == "invalid-request-body"
