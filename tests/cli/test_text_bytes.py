"""Files as Windows, PowerShell and programs in China write them, and files that are no text."""

from __future__ import annotations

import codecs
import io
import json
import random
import sys
from pathlib import Path

import pytest

from qwell.cli import given_text, main
from qwell.cli.text_bytes import text_of

LINE = "OSError: [Errno 28] No space left on device: 磁盘已满\n"


@pytest.mark.parametrize(
    "content",
    [
        LINE.encode(),
        codecs.BOM_UTF8 + LINE.encode(),
        codecs.BOM_UTF16_LE + LINE.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + LINE.encode("utf-16-be"),
        LINE.encode("utf-16-le"),
        LINE.encode("utf-16-be"),
        LINE.encode("gb18030"),
        LINE.encode("gbk"),
        b"\0" * 20 + LINE.encode(),
    ],
)
def test_text_is_text(content: bytes) -> None:
    assert text_of(content) == LINE


def test_a_last_character_cut_in_half_spoils_nothing() -> None:
    assert text_of(LINE.encode() + "满".encode()[:2]) == LINE
    assert text_of(LINE.encode("gbk") + "满".encode("gbk")[:1]) == LINE


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + random.Random(1).randbytes(4000),
        b"PK\x03\x04" + random.Random(2).randbytes(4000),
        bytes(4000),
        b"GGUF\x03\0\0\0" + random.Random(3).randbytes(4000),
    ],
)
def test_what_is_no_text_is_said_to_be_none(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert text_of(content) is None
    (tmp_path / "a.log").write_bytes(content)
    for command in ("diagnose", "support"):
        assert main([command, str(tmp_path / "a.log"), "--lang", "en"]) == 2
        said = capsys.readouterr().err
        assert "error: text-unreadable" in said
        assert "this is no text" in said


def test_a_log_of_powershell_is_diagnosed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.txt").write_bytes(LINE.encode("utf-16"))
    assert main(["diagnose", str(tmp_path / "log.txt"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["faults"][0]["id"] == "disk-full"


def test_of_too_much_both_ends_are_read_and_nothing_is_called_healthy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(given_text, "HALF", 1000)
    monkeypatch.setattr(given_text, "_CHUNK", 500)
    healthy = "INFO: model ready\n" * 1000

    def diagnosed(text: str) -> dict[str, object]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert main(["diagnose", "-", "--json"]) == 0
        said: dict[str, object] = json.loads(capsys.readouterr().out)
        return said

    said = diagnosed(healthy)
    assert said["verdict"] == "unknown"
    assert 0 < int(str(said["unread"])) <= len(healthy) - 2000
    assert '"line": 1001' in json.dumps(diagnosed(healthy + LINE))
