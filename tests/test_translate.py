"""Whatever an error can say exists in Chinese, and nothing is kept that no error says.

What errors say is read from the source: a template for each text, `{1}` where a value stands. A
value is followed into local assignments, constants, returns and callers within its module.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwell.errors import QwellError
from qwell.translate import FILE, joined, preferred, templates, translated, translated_error

SOURCE = Path(__file__).parent.parent / "src" / "qwell"
FIELDS = ("found", "expected", "fix", "cause")
_VALUE = "\0"  # a value; numbered at the end
_WORDS = re.compile(r"[A-Za-z]{2,}[^A-Za-z\0]+[A-Za-z]{2,}")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Module:
    """One file, and what its functions return, receive and assign."""

    path: Path
    tree: ast.Module
    functions: dict[str, Function] = field(default_factory=dict)
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path) -> Module:
        module = cls(path, ast.parse(path.read_text(encoding="utf-8")))
        for node in ast.walk(module.tree):
            module.parents.update(dict.fromkeys(ast.iter_child_nodes(node), node))
            if isinstance(node, Function):
                module.functions[node.name] = node
        return module

    def around(self, node: ast.AST) -> Function | None:
        """The function that node stands in."""
        while (above := self.parents.get(node)) is not None:
            if isinstance(above, Function):
                return above
            node = above
        return None


def said_in_source() -> dict[str, str]:
    """Where each template comes from, by template."""
    found: dict[str, str] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        if "QwellError" in (text := path.read_text(encoding="utf-8")) or "Failed(" in text:
            for template, line in _of(Module.of(path)):
                found.setdefault(template, f"{path.relative_to(SOURCE)}:{line}")
    return found


def _of(module: Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and _name(node.func) in ("QwellError", "Failed"):
            for keyword in node.keywords:
                if keyword.arg in FIELDS:
                    for text in _Reading(module).whole(keyword.value):
                        yield _numbered(text), node.lineno


class _Reading:
    """One text and the values in it."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._seen: set[ast.AST] = set()

    def whole(self, node: ast.expr) -> list[str]:
        """The texts that node can be, and those that stand in them."""
        texts = [text for text in self._texts(node) if re.search(r"[A-Za-z]", text)]
        gaps = [value for value in _values(node) if value not in self._seen]
        self._seen.update(gaps)
        for value in gaps:
            for source in self._sources(value):
                inner = self.whole(source)
                is_all = value is node
                texts += [text for text in inner if is_all or _WORDS.search(text)]
        return texts

    def _texts(self, node: ast.expr) -> list[str]:
        match node:
            case ast.Constant(value=str(text)):
                return [text]
            case ast.JoinedStr(values=values):
                parts = [
                    self._texts(v) if isinstance(v, ast.Constant) else [_VALUE] for v in values
                ]
                return ["".join(chosen) for chosen in product(*parts)]
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return [a + b for a in self._texts(left) for b in self._texts(right)]
            case ast.IfExp(body=body, orelse=orelse):
                return self._texts(body) + self._texts(orelse)
        return [_VALUE]

    def _sources(self, value: ast.expr) -> list[ast.expr]:
        """What a value can be, as far as this module says."""
        match value:
            case ast.IfExp(body=body, orelse=orelse):
                return [body, orelse]
            case ast.BoolOp(values=values):
                return list(values)
            case ast.Call(func=ast.Name(id=name)) if name in self._module.functions:
                returned = ast.walk(self._module.functions[name])
                return [n.value for n in returned if isinstance(n, ast.Return) and n.value]
            case ast.Name(id=name):
                return self._named(name, self._module.around(value))
        return []

    def _named(self, name: str, function: Function | None) -> list[ast.expr]:
        scope: ast.AST = function or self._module.tree
        sources = _assigned(name, scope)
        if function is not None:
            sources += self._given(name, function)
            sources = sources or _assigned(name, self._module.tree, deep=False)
        return sources

    def _given(self, name: str, function: Function) -> list[ast.expr]:
        """What callers in this module pass as this parameter."""
        places = [argument.arg for argument in function.args.args]
        if name not in places + [argument.arg for argument in function.args.kwonlyargs]:
            return []
        calls = [n for n in ast.walk(self._module.tree) if isinstance(n, ast.Call)]
        given: list[ast.expr] = []
        for call in calls:
            if _name(call.func) != function.name:
                continue
            given += [k.value for k in call.keywords if k.arg == name]
            if name in places and (at := places.index(name)) < len(call.args):
                given.append(call.args[at])
        return given


def _assigned(name: str, scope: ast.AST, *, deep: bool = True) -> list[ast.expr]:
    nodes = ast.walk(scope) if deep else ast.iter_child_nodes(scope)
    sources: list[ast.expr] = []
    for node in nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                sources.append(value)
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value) if (
                target == name
            ):
                sources.append(value)
    return sources


def _values(node: ast.expr) -> list[ast.expr]:
    """The expressions behind the gaps of a text."""
    match node:
        case ast.Constant():
            return []
        case ast.JoinedStr(values=values):
            return [v.value for v in values if isinstance(v, ast.FormattedValue)]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _values(left) + _values(right)
        case ast.IfExp(body=body, orelse=orelse):
            return _values(body) + _values(orelse)
    return [node]


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _numbered(text: str) -> str:
    head, *rest = text.split(_VALUE)
    return head + "".join(f"{{{n}}}{part}" for n, part in enumerate(rest, start=1))


TABLE: dict[str, Any] = tomllib.loads(FILE.read_text(encoding="utf-8"))
SAID = said_in_source()
JOINTS = {"{1} (expected: {2})", "{1}: {2}", "{1} {2}"}
_GAP = re.compile(r"\{\d\}")


def test_every_error_has_its_chinese() -> None:
    missing = {
        text: at for text, at in SAID.items() if text not in {*TABLE["texts"], *TABLE["same"]}
    }
    assert not missing, "add these to src/qwell/translate.toml"


def test_nothing_is_kept_that_no_error_says() -> None:
    assert {*TABLE["texts"], *TABLE["same"]} - {*SAID, *JOINTS} == set()


@pytest.mark.parametrize("section", ["texts", "others"])
def test_the_chinese_has_the_same_values_and_is_chinese(section: str) -> None:
    for english, chinese in TABLE[section].items():
        if english not in {*JOINTS, "Value error, {1}"}:
            assert re.search(r"[\u4e00-\u9fff]", chinese), english
        dropped = {*_GAP.findall(english)} - {*_GAP.findall(chinese)}
        assert not dropped or english.startswith("Input should be a valid dictionary"), english
        assert {*_GAP.findall(chinese)} <= {*_GAP.findall(english)}, english


@pytest.mark.parametrize("english", [*TABLE["texts"], *TABLE["others"]])
def test_each_text_is_recognised_with_its_values(english: str) -> None:
    values = iter(["/a/b.gguf", "17", "x9", "y8"])
    text = _GAP.sub(lambda _: next(values), english)
    if english not in JOINTS | {"Value error, {1}"}:
        assert re.search(r"[\u4e00-\u9fff]", translated(text, "zh"))
    assert translated(text, "en") == text


def test_what_was_expected_is_no_part_of_what_was_found() -> None:
    told = "the worker was killed by SIGKILL (expected: a worker that keeps running)"
    assert translated(told, "zh") == "工作进程被 SIGKILL 终止（应为：持续运行的工作进程）"


def test_values_stay_and_texts_within_texts_are_translated() -> None:
    assert translated("/m/x.gguf: a header record that can't be read (bad)", "zh") == (
        "/m/x.gguf：文件头中有无法读取的记录（bad）"
    )
    assert translated(
        "a prompt of 7 tokens (expected: at most 5, so that an answer fits too)", "zh"
    ) == ("提示词有 7 个词元（应为：最多 5 个，以便给回答留出位置）")
    assert translated("messages.0.role: Input should be 'user', 'assistant' or 'tool'", "zh") == (
        "messages.0.role：应为 'user', 'assistant' 或 'tool'"
    )
    assert translated("something nobody says", "zh") == "something nobody says"


def test_an_error_keeps_its_name_and_its_patience() -> None:
    error = QwellError(
        "rate-limited",
        found="more answers were asked for by 10.0.0.7 than are allowed",
        expected="at most 9 a minute",
        fix="try again in 3 s; qwell serve --rate-limit sets the number",
        retry_after_s=3,
    )
    chinese = translated_error(error, "zh")
    assert (chinese.fault, chinese.retry_after_s) == ("rate-limited", 3)
    assert chinese.found == "10.0.0.7 请求的回答超过了允许的数量"
    assert joined(error, "zh").startswith(
        "10.0.0.7 请求的回答超过了允许的数量。应为：每分钟最多 9 个。"
    )
    assert translated_error(error, "en") is error


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-US,en;q=0.9,zh;q=0.8", "en"),
        ("de,zh-TW;q=0.5", "zh"),
        ("en;q=0.1, zh;q=0.9", "zh"),
        ("zh;q=0", "en"),
        ("zh;q=many, *", "en"),
    ],
)
def test_the_language_that_a_header_asks_for(header: str, language: str) -> None:
    assert preferred(header) == language


@settings(deadline=None)  # many templates may be tried
@given(st.text() | st.sampled_from([t.english[0] + ": " * 50 for t in templates()]))
def test_any_text_has_some_form(text: str) -> None:
    assert translated(text, "zh") or not text
