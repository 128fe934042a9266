"""What a person says is not so speaks for nothing; what needs its negation does."""

from __future__ import annotations

import pytest

from qwell.doctor.diagnose import diagnose_text
from qwell.doctor.read import read


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("端口没有被占用，内存也够，就是页面打开后一直转圈", "port-in-use"),
        ('There was no "Out of memory: Killed process" line in dmesg. It is slow.', "oom-killed"),
        ("The port is not in use, I looked with ss. Answers come very slowly.", "port-in-use"),
        ("dmesg 里没有 Out of memory，进程也没有被杀，就是回答特别慢", "oom-killed"),
        ('I looked for "address already in use" and it is not there, what else?', "port-in-use"),
        ("日志里没有看到 no space left on device，但是存不了对话", "disk-full"),
    ],
)
def test_a_denied_fault_is_not_named(text: str, fault: str) -> None:
    verdict = diagnose_text(text)
    assert verdict.verdict != "fault" or verdict.diagnoses[0].fault.id != fault
    assert not [f for f in read(text).findings if f.check.split(".")[2:] == ["1"]]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("The server does not start because the port is already in use", "port-in-use"),
        ("容器没有启动，提示端口被占用", "port-in-use"),
        ("OSError: [Errno 28] No space left on device", "disk-full"),
        ("curl: (6) Could not resolve host: huggingface.co", "dns-failure"),
        ("exec /entrypoint.sh: no such file or directory", "crlf-entrypoint"),
        ("ModuleNotFoundError: No module named 'numpy'", "python-module-missing"),
        ("是不是端口被占用了？启动时说地址已被使用", "port-in-use"),
    ],
)
def test_a_negation_of_something_else_denies_nothing(text: str, fault: str) -> None:
    assert diagnose_text(text).diagnoses[0].fault.id == fault


def test_what_is_denied_but_stands_in_the_log_is_believed_of_the_log() -> None:
    text = "端口没有被占用，为什么启动不了？\n\nOSError: [Errno 98] address already in use"
    assert diagnose_text(text).diagnoses[0].fault.id == "port-in-use"
