"""Whatever error this program prints, logs or sends is known when it is pasted."""

from __future__ import annotations

import ast
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

import qwell
from qwell.cli.failure import describe
from qwell.doctor.catalogue import load
from qwell.doctor.diagnose import diagnose_text
from qwell.doctor.own_faults import own_faults
from qwell.errors import QwellError
from qwell.log import JsonFormatter, TextFormatter

SOURCES = sorted(Path(qwell.__file__).parent.rglob("*.py"))
SAID = ("found", "expected", "fix")


def raised() -> Iterator[QwellError]:
    """One example of each place that raises, with "7" for what is filled in."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "QwellError":
                texts = {k.arg: words(k.value) for k in node.keywords if k.arg in SAID}
                for fault in ids(node.args[0]) if node.args else ():
                    yield QwellError.from_dict(
                        {"fault": fault, **dict.fromkeys(SAID, "7"), **texts}
                    )


def ids(node: ast.expr) -> set[str]:
    values = {str(n.value) for n in ast.walk(node) if isinstance(n, ast.Constant)}
    return {value for value in values if value in load().faults or value in own_faults()}


def words(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(p.value) if isinstance(p, ast.Constant) else "7" for p in node.values)
    return "7"


def logged(error: QwellError, formatter: logging.Formatter) -> str:
    record = logging.makeLogRecord({"msg": "request failed", "levelname": "ERROR", "name": "q"})
    vars(record).update(error.to_dict())
    return formatter.format(record)


def forms(error: QwellError) -> Iterator[str]:
    yield describe(error, "en")
    yield describe(error, "zh")
    yield str(error)
    yield json.dumps(error.to_dict())
    yield json.dumps({"error": {"message": error.found, "code": error.fault}})
    yield logged(error, TextFormatter())
    yield logged(error, JsonFormatter())


def test_every_error_of_ours_is_known_by_its_name() -> None:
    examples = {(e.fault, e.found): e for e in raised()}
    assert len(examples) > 80
    wrong = []
    for error in examples.values():
        for text in forms(error):
            verdict = diagnose_text(text)
            named = [d.fault.id for d in verdict.diagnoses[:1]]
            if (verdict.verdict, named) != ("fault", [error.fault]):
                wrong.append((error.fault, named, text))
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            (
                'psycopg.OperationalError: connection failed: connection to server at "127.0.0.1", '
                "port 5432 failed: Connection refused"
            ),
            "database-unreachable",
        ),
        ("found: a request for host 'chat.home.lan'. Expected: an IP address", "host-not-allowed"),
    ],
)
def test_sentences_that_only_this_program_writes(text: str, fault: str) -> None:
    assert diagnose_text(text).diagnoses[0].fault.id == fault


def test_whoever_asks_what_it_means_has_no_fault() -> None:
    assert diagnose_text("What does error: oom-killed mean?").verdict != "fault"
