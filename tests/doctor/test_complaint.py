"""Offers in the chat: plain complaints and logs, and never ordinary talk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qwell.doctor.complaint import complaint

HERE = Path(__file__).parent


def ordinary() -> list[str]:
    """What people say to a chat assistant; a written \\n is a line break."""
    lines = (HERE / "ordinary_messages.txt").read_text(encoding="utf-8").splitlines()
    return [line.replace("\\n", "\n") for line in lines]


def cases(name: str) -> list[dict[str, Any]]:
    lines = (HERE / f"{name}_cases.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def text_of(case: dict[str, Any]) -> str:
    return f"{case['symptom']}\n\n{case['log']}".strip()


def test_ordinary_talk_is_left_alone_and_reports_are_seen(
    capsys: pytest.CaptureFixture[str],
) -> None:
    messages = ordinary()
    false = [message for message in messages if complaint(message)]
    sick = [case for case in cases("dev") if case["fault"] not in ("none", "unknown")]
    well = [case for case in cases("dev") if case["fault"] == "none"]
    missed = [case["id"] for case in sick if complaint(text_of(case)) is None]
    alarmed = [case["id"] for case in well if complaint(text_of(case)) is not None]
    with capsys.disabled():
        print(
            f"\n  offers in the chat: false {len(false)} of {len(messages)} ordinary messages, "
            f"missed {len(missed)} of {len(sick)} reports, on harmless ones {len(alarmed)} of "
            f"{len(well)}"
        )
    assert len(set(messages)) == 500
    assert len(false) < 0.01 * len(messages), false
    assert len(missed) < 0.1 * len(sick), missed
    assert not alarmed


def test_a_complaint_and_a_log_are_told_apart() -> None:
    words = complaint("Behind nginx the streamed reply only shows up at the very end")
    assert words is not None
    assert (words.kind, words.faults[0]) == ("complaint", "proxy-buffering")
    log = complaint("INFO: start\nOSError: [Errno 28] No space left on device: '/data/x'")
    assert log is not None
    assert (log.kind, log.faults[0]) == ("log", "disk-full")


@pytest.mark.parametrize(
    "text",
    [
        "服务器的对话保存不了，帮我诊断一下",
        "帮我排查一下，页面怎么这么慢",
        "Please diagnose why this chat is so slow",
        "The conversations on the server are not saved, please diagnose",
        "run a self-test of the server",
    ],
)
def test_a_diagnosis_that_is_asked_for_is_offered(text: str) -> None:
    offer = complaint(text)
    assert offer is not None
    assert offer.kind == "complaint"


@pytest.mark.parametrize(
    "text",
    [
        "帮我诊断一下为什么咳嗽一直不好",
        "How do doctors diagnose the flu?",
        "My car's engine stutters, please diagnose",
        "Write a page on how to troubleshoot the printer",
    ],
)
def test_a_diagnosis_of_something_else_is_not_ours(text: str) -> None:
    assert complaint(text) is None


@pytest.mark.parametrize("text", ["", " ", "hi", "\n\n", "?" * 10_000, "\x00" * 500])
def test_nothing_is_made_of_nothing(text: str) -> None:
    assert complaint(text) is None


def test_trouble_with_other_programs_is_not_ours() -> None:
    assert complaint("Outlook crashes whenever the server does not answer") is None
    assert complaint("我的手机打不开网页，一直转圈") is None
