"""The log reader: formats, line numbers, what is harmless, and how long it takes."""

from __future__ import annotations

import json
import random
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwell.doctor.catalogue import load
from qwell.doctor.finding import Finding
from qwell.doctor.read import read
from qwell.doctor.read_lines import split
from qwell.doctor.read_pattern import anchors, compiled

CASES = sorted(Path(__file__).parent.glob("*_cases.jsonl"))
IN_USE = "OSError: [Errno 98] error while attempting to bind: address already in use"


def faults_in(text: str) -> set[str]:
    return {f.check.split(".")[1] for f in read(text).findings if f.check.startswith("log.")}


def finding_of(text: str, fault: str) -> Finding:
    return next(f for f in read(text).findings if f.check.startswith(f"log.{fault}."))


@pytest.mark.parametrize(
    "line",
    [
        IN_USE,
        f"chat-1  | {IN_USE}",
        f"2026-11-22T10:00:00.123456789Z {IN_USE}",
        f"Nov 22 10:00:00 box qwell[81]: {IN_USE}",
        f"\x1b[31mERROR\x1b[0m:    {IN_USE}\r",
        '{"log":"' + IN_USE + '\\n","stream":"stderr"}',
        '{"level":"error","msg":"cannot start","error":"' + IN_USE + '"}',
        f"2026/11/22 10:00:00 [emerg] 1#1: {IN_USE}",
        f"npm ERR! {IN_USE}",
        f"    {IN_USE}",
    ],
)
def test_formats_of_logs(line: str) -> None:
    assert "port-in-use" in faults_in(f"INFO: starting\n{line}")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("bash: ./run: 权限不够", "permission-denied"),
        ("cp: 写入时出错: 设备上没有空间", "disk-full"),
        ("段错误 (核心已转储)", "worker-crashed"),
        ("无法执行二进制文件: 可执行文件格式错误", "exec-format-error"),
        ("由于目标计算机积极拒绝，无法连接。", "backend-not-listening"),
        ("bind: 地址已在使用", "port-in-use"),
    ],
)
def test_messages_of_a_chinese_system(line: str, fault: str) -> None:
    assert fault in faults_in(line)


def test_lines_are_cited_by_number_and_container() -> None:
    finding = finding_of(f"web-1 | ok\n\napi-1 | {IN_USE}", "port-in-use")
    assert finding.evidence[0].source == "log:3"
    assert finding.facts()["container"] == "api"


def test_evidence_fills_in_path_port_and_module() -> None:
    assert finding_of("open: permission denied: '/data/x.db'", "permission-denied").facts()[
        "path"
    ] == ("/data/x.db")
    assert finding_of("No module named 'numpy'", "python-module-missing").facts()["module"] == (
        "numpy"
    )


def test_the_whole_chain_of_a_traceback_is_read() -> None:
    text = (
        "Traceback (most recent call last):\n"
        '  File "a.py", line 1, in <module>\n'
        "ssl.SSLCertVerificationError: certificate verify failed: self-signed certificate\n\n"
        "During handling of the above exception, another exception occurred:\n\n"
        "OSError: We couldn't connect to 'https://huggingface.co' to load this file\n"
    )
    assert {"tls-verify-failed", "hf-hub-unreachable"} <= faults_in(text)


def test_a_harmless_line_speaks_for_no_fault() -> None:
    text = "FutureWarning: `resume_download` is deprecated: permission denied in 2.0"
    assert faults_in(text) == set()
    assert "harmless.deprecation-warning" in {f.check for f in read(text).findings}


def test_retries_that_succeeded_speak_for_no_fault() -> None:
    text = "WARNING retrying (attempt 1 of 5): connection refused\ndownload complete"
    assert faults_in(text) == set()


def test_words_of_a_person_are_told_from_a_log() -> None:
    reading = read(f"The container stops at once, what can I do?\n\n{IN_USE}")
    assert reading.prose == "The container stops at once, what can I do?"
    assert reading.has_log


def test_repeated_lines_are_read_once() -> None:
    lines = split("\n".join(f"GET /health {i} 200" for i in range(5000)))
    assert [line.number for line in lines] == [1]


def test_a_truncated_log_is_read() -> None:
    text = IN_USE + "\n" + "INFO: request %d done\n" * 1000
    assert "port-in-use" in faults_in(text[: len(text) // 2])


@pytest.mark.parametrize("text", ["", "\n\n", "\x00\x01", "�" * 100, '{"log": 1}', "{" * 1000])
def test_odd_input_is_survived(text: str) -> None:
    read(text)


@given(st.text(max_size=400))
def test_any_text_is_survived(text: str) -> None:
    read(text)


def test_harmless_lines_do_not_drown_out_the_others() -> None:
    harmless = "FutureWarning: `padding` will change\nINFO: Application startup complete.\n"
    trouble = "OSError: [Errno 28] No space left on device\n"
    assert "FutureWarning" not in read(harmless + trouble).gist
    assert "FutureWarning" in read(harmless).gist


def test_a_long_log_takes_time_in_proportion() -> None:
    """Lines of words that signatures are made of, so that many are looked at closely."""
    words = [w for fault in load().faults.values() for p in fault.phrases for w in p.split()]
    rng = random.Random(1)
    noise = [f"{i} INFO {' '.join(rng.choices(words, k=12))}" for i in range(20_000)]
    text = "\n".join([*noise[:10_000], IN_USE, *noise[10_000:]])
    tenth = text[: len(text) // 10]
    read(tenth)
    assert min(timed(text) for _ in range(3)) < 20 * min(timed(tenth) for _ in range(3))
    assert "port-in-use" in faults_in(text)


def timed(text: str) -> float:
    started = time.process_time()
    read(text)
    return time.process_time() - started


def test_no_pattern_takes_more_than_linear_time() -> None:
    """Each pattern on lines made to mislead it: its own text, repeated, without an end."""
    slow = []
    for fault in load().faults.values():
        for signature in fault.signatures:
            for pattern in signature.patterns:
                text = " ".join(anchors(pattern)) or "aa"
                plain = re.sub(r"[\\^$()|?*+{}\[\].]", " ", pattern)
                for line in ((text + " ") * 600, (plain + " ") * 60, text[:1] * 1200):
                    started = time.process_time()
                    compiled(pattern).search(line[:1200])
                    if time.process_time() - started > 0.1:
                        slow.append(pattern)
    assert slow == []


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (r"\b\d+ Killed\s", (" killed",)),
        (r"[a-z]+ is locked", (" is locked",)),
        (r"colou?r of (?:a|b)", ("r of ",)),
        (r"(?:one|two) \d", ("one", "two")),
    ],
)
def test_an_anchor_is_text_that_must_occur(pattern: str, found: tuple[str, ...]) -> None:
    assert anchors(pattern) == found


def test_no_anchor_hides_a_line_from_its_pattern() -> None:
    cases = [json.loads(line) for path in CASES for line in path.read_text("utf-8").splitlines()]
    lines = {line for case in cases for line in case["log"].splitlines() if line.strip()}
    signatures = [s for fault in load().faults.values() for s in fault.signatures]
    patterns = {pattern for signature in signatures for pattern in signature.patterns}
    hidden = [
        (pattern, line)
        for pattern in patterns
        if (found := anchors(pattern))
        for line in lines
        if not any(a in line.lower() for a in found) and compiled(pattern).search(line)
    ]
    assert hidden == []
