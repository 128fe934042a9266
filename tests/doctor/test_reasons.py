"""Every reason that a check can give has its words in Chinese."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import qwell.doctor.checks
from qwell.doctor.reasons import reason_in, retold

CHINESE = re.compile(r"[\u4e00-\u9fff]")
CHECKS = Path(qwell.doctor.checks.__path__[0])
SAYING = {"failed", "warned", "skipped"}


def said(path: Path) -> Iterator[str]:
    """First arguments of what ends a check, where they are written out; {} for what is filled."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[first, *_]) if name in SAYING:
                yield from text_of(first)


def text_of(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        parts = [str(v.value) if isinstance(v, ast.Constant) else "thing" for v in node.values]
        yield "".join(parts)


REASONS = sorted({text for path in CHECKS.glob("*.py") for text in said(path)})


def test_there_is_much_to_translate() -> None:
    assert len(REASONS) > 150


@pytest.mark.parametrize("text", REASONS)
def test_every_reason_of_a_check_is_there_in_chinese(text: str) -> None:
    assert CHINESE.search(reason_in(text, "zh"))
    assert reason_in(text, "en") == text


def test_what_is_filled_in_stays() -> None:
    assert reason_in("no server runs at http://127.0.0.1:8000", "zh").startswith("http://127.0.0.1")
    assert "4.0" in reason_in("no result after 4.0 s", "zh")


def test_the_first_cause_of_a_skip_keeps_its_name() -> None:
    assert reason_in("engine.worker: the worker process ended", "zh") == (
        "engine.worker：工作进程已退出"
    )


def test_what_nobody_translated_stays_as_it_is() -> None:
    assert reason_in("[Errno 13] Permission denied: 'x'", "zh") == (
        "[Errno 13] Permission denied: 'x'"
    )


def test_a_report_is_retold_and_its_log_lines_are_not() -> None:
    body: dict[str, Any] = {
        "findings": [{"check": "host.disk_space", "because": "the disk is full"}],
        "diagnoses": [
            {"evidence": [{"line": 0, "text": "the disk is full"}]},
            {"evidence": [{"line": 3, "text": "the disk is full"}]},
        ],
    }
    retelling = retold(body, "zh")
    assert retelling["findings"][0] == {"check": "host.disk_space", "because": "磁盘已满"}
    assert retelling["diagnoses"][0]["evidence"][0]["text"] == "磁盘已满"
    assert retelling["diagnoses"][1] == body["diagnoses"][1]
    assert retold(body, "en") is body


def test_the_page_tells_what_its_own_probes_say_as_the_server_does() -> None:
    page = Path(__file__).parents[2] / "web" / "src" / "doctor"
    said = re.findall(
        r"(?:failed|warned|skipped)\(\s*[\"`]([^\"`]+)[\"`]",
        (page / "probes.ts").read_text(encoding="utf-8"),
    )
    told = dict(
        re.findall(
            r'^    "(.+)": "(.+)",$', (page / "texts" / "zh.ts").read_text("utf-8"), re.MULTILINE
        )
    )
    assert len(said) > 20
    for text in said:
        plain = re.sub(r"\$\{[^}]+\}", "{}", text)
        assert told[plain] == reason_in(plain, "zh")
