"""Secrets and personal data are taken out and counted; the rest stays."""

from __future__ import annotations

import time

import pytest

from qwell.doctor.redact import redact


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ("HF_TOKEN=hf_abcdefghijklmnopqrstuv", "hf_abcdefghijklmnopqrstuv"),
        ("OPENAI_API_KEY: 'sk-proj-aaaaaaaaaaaaaaaaaaaa'", "sk-proj-aaaaaaaaaaaaaaaaaaaa"),
        ('{"password": "hunter22", "user": "x"}', "hunter22"),
        ("postgresql://qwell:s3cretpw@db/qwell", "s3cretpw"),
        ("mail from jane.doe@example.org", "jane.doe@example.org"),
        ("client 203.0.113.9:4411 connected", "203.0.113.9"),
        ("/home/jane/models/x.gguf", "jane"),
        (r"C:\Users\Jane\models", "Jane"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ.abcdefgh", "eyJzdWIi"),
    ],
)
def test_what_is_private_goes_and_is_counted(text: str, secret: str) -> None:
    clean, receipt = redact(text)
    assert secret not in clean
    assert sum(receipt.values()) >= 1


@pytest.mark.parametrize(
    "text",
    [
        "connect to 127.0.0.1:8000 failed",
        "bind 0.0.0.0:8000",
        "upstream 172.17.0.2 and 192.168.1.5",
        "version 1.2.3 of numpy",
        "usage: prompt tokens 12",
        "/app/model/config.json",
    ],
)
def test_what_helps_stays(text: str) -> None:
    assert redact(text) == (text, {})


def test_redaction_takes_linear_time() -> None:
    for text in ("a@" * 50_000, "1." * 50_000, "key=" * 30_000, "eyJ" * 40_000, "/home/" * 20_000):
        started = time.perf_counter()
        redact(text)
        assert time.perf_counter() - started < 3
