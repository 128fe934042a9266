"""A Jinja sandbox that ends: bounded steps, bounded values, bounded output.

Chat templates are programs that arrive with a model file. They get data, no way to reach Python
or the disk, and no way to loop or grow without end. That stops accidents and the bombs one meets;
a file crafted around these bounds can still stall the process it is rendered in, which is why that
process is watched. Knows nothing of chats and tokens.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping, Sized
from datetime import datetime
from math import prod
from typing import Any, cast

from jinja2 import Template, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_STEPS = 200_000  # calls, filters and loop rounds of one rendering
MAX_SIZE = 16_000_000  # characters or items of one value, and of all that is printed
MAX_NUMBER = 100_000  # numbers given to functions: widths, counts


class LimitExceeded(SecurityError):  # noqa: N818  reads as what happened
    """The template does more than any chat needs."""


class Refusal(TemplateError):  # noqa: N818  the template's own word, not a defect
    """raise_exception was called: the template does not accept these messages."""


class GenerationTag(Extension):
    """``{% generation %}``, which marks the assistant's part for training; here it only prints."""

    tags = {"generation"}  # noqa: RUF012  Jinja's own declaration

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body).set_lineno(line)


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """What templates written for Transformers may use, metered. Not for two threads at once."""

    intercepted_binops = frozenset(["+", "*", "**", "%"])

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[GenerationTag, loopcontrols],
            finalize=self._count_printed,
        )
        self._steps = self._printed = 0
        self.filters["tojson"] = _tojson
        self.filters.update({name: self._metered(f) for name, f in self.filters.items()})
        self.globals.pop("lipsum")
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = _strftime_now

    def compiled(self, source: str) -> Template:
        """A template that counts a step in every round of every loop. Raises TemplateError."""
        tree = self.parse(source)
        for loop in list(tree.find_all(nodes.For)):
            loop.body.insert(0, nodes.ExprStmt(_call_of("next_round", [])))
        for concat in list(tree.find_all(nodes.Concat)):
            concat.nodes = [_call_of("joined", concat.nodes)]
        return self.from_string(cast("nodes.Template", tree.set_environment(self).set_lineno(1)))

    def render(self, template: Template, data: Mapping[str, Any]) -> str:
        """Raises LimitExceeded, Refusal or whatever else the template fails with."""
        self._steps = self._printed = 0
        return template.render(data)

    def next_round(self) -> None:
        """What every round of a loop calls; the call is what counts."""

    def _step(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise LimitExceeded(f"more than {MAX_STEPS} steps")

    def joined(self, *parts: Any) -> str:
        """The ``~`` of Jinja."""
        texts = [str(part) for part in parts]
        _bound(sum(map(len, texts)))
        return "".join(texts)

    def call(self, context: Context, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        self._step()
        # str.format comes wrapped by Jinja's own sandbox
        receiver = getattr(getattr(function, "__wrapped__", function), "__self__", None)
        _check_arguments(getattr(function, "__name__", ""), receiver, (*args, *kwargs.values()))
        return super().call(context, function, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        self._step()
        if operator == "+" and type(left) is str and type(right) is str:  # nearly all there are
            _bound(len(left) + len(right))
            return left + right
        _bound(_size_of_result(operator, left, right))
        return super().call_binop(context, operator, left, right)

    def _metered(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def metered(*args: Any, **kwargs: Any) -> Any:
            self._step()
            at = 1 if hasattr(function, "jinja_pass_arg") else 0
            value, *rest = args[at:]
            _check_arguments(function.__name__, value, (*rest, *kwargs.values()))
            return function(*args, **kwargs)

        return metered

    def _count_printed(self, value: Any) -> Any:
        self._printed += len(value) if isinstance(value, str) else 1
        _bound(self._printed)
        return value


def _call_of(name: str, arguments: list[nodes.Expr]) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(name), arguments, [], None, None)


def _bound(size: float) -> None:
    if size > MAX_SIZE:
        raise LimitExceeded(f"a value of more than {MAX_SIZE} characters")


def _check_arguments(name: str, value: Any, arguments: tuple[Any, ...]) -> None:
    """Refuse what would build something huge from little: wide padding, long replacements."""
    for argument in arguments:
        if isinstance(argument, int) and abs(argument) > MAX_NUMBER:
            raise LimitExceeded(f"{name} called with {argument}")
    name = name.removeprefix("do_")
    texts = [a for a in arguments if isinstance(a, str)]
    if name == "replace" and isinstance(value, str) and len(texts) >= 2:
        _bound(value.count(texts[0]) * len(texts[1]))
    elif name == "join":
        _bound(prod(len(side) for side in (value, *arguments) if isinstance(side, Sized)))
    elif name in {"format", "format_map"} and isinstance(value, str):
        _check_widths(value)


def _check_widths(form: str) -> None:
    if any(int(width) > MAX_NUMBER for width in re.findall(r"\d+", form)) or "%*" in form:
        raise LimitExceeded("a format wider than any text")


def _size_of_result(operator: str, left: Any, right: Any) -> float:
    """Characters, items or, for numbers, bits that the operation would make."""
    if operator == "%" and isinstance(left, str):
        _check_widths(left)
        return 0
    if operator == "**":
        return float(_bits(left) * abs(right)) if isinstance(right, int) else 0
    sizes = [len(side) if isinstance(side, Sized) else None for side in (left, right)]
    known = [size for size in sizes if size is not None]
    if operator == "+":
        return sum(known)
    if operator == "*" and known:
        times = [side for side in (left, right) if isinstance(side, int)]
        return known[0] * max(times, default=1)
    return _bits(left) + _bits(right)


def _bits(number: Any) -> int:
    return number.bit_length() if isinstance(number, int) else 0


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Plain JSON: Jinja's own filter escapes for HTML, which the model has never seen."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise_exception(message: str) -> None:
    raise Refusal(message)


def _strftime_now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)
