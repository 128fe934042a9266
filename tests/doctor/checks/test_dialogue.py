"""The conversation as the model sees it and as the person reads it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from qwell.doctor.answer import Answer, Frame

Status = Callable[[str, Any], str]


def answering(machine: Any, n_prompt: Callable[[dict[str, Any]], int], text: str = "ok") -> Any:
    """A server that counts the prompt's tokens in this way."""

    def frames(_path: str, *, body: bytes, **_options: Any) -> tuple[Answer, list[Frame]]:
        usage = {"prompt_tokens": n_prompt(json.loads(body))}
        done = {"type": "done", "reason": "stop", "usage": usage}
        events = [{"type": "delta", "text": text}, done]
        return Answer(200, {}), [Frame(json.dumps(event), 0.0) for event in events]

    machine.frames = frames
    return machine


def all_words(body: dict[str, Any]) -> int:
    return sum(4 + len(turn["content"].split()) for turn in body["messages"])


def last_words(body: dict[str, Any]) -> int:
    return 4 + len(body["messages"][-1]["content"].split())


@pytest.mark.parametrize("check", ["dialogue.history", "dialogue.system_prompt"])
def test_everything_is_in_the_prompt(served: Any, status: Status, check: str) -> None:
    assert status(check, answering(served, all_words)) == "pass"


@pytest.mark.parametrize("check", ["dialogue.history", "dialogue.system_prompt"])
def test_something_is_left_out(served: Any, status: Status, check: str) -> None:
    assert status(check, answering(served, last_words)) == "fail"


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("caf\ufffd", "dialogue.text"),
        ("ok<|im_end|>", "dialogue.no_control"),
        ("!" * 40, "dialogue.not_degenerate"),
    ],
)
def test_what_should_not_be_read(served: Any, status: Status, text: str, check: str) -> None:
    assert status(check, served) == "pass"
    served._kept.clear()
    served.say({"type": "delta", "text": text}, {"type": "done"})
    assert status(check, served) == "fail"


@pytest.mark.parametrize(
    ("facts", "check", "expected"),
    [
        ({"answers": 10, "notices": {"context-overflow": 8}}, "dialogue.trims", "warn"),
        ({"answers": 10, "notices": {"context-overflow": 2}}, "dialogue.trims", "pass"),
        ({"answers": 10, "notices": {"repetition-loop": 4}}, "dialogue.repeats", "fail"),
        ({"answers": 10, "notices": {"repetition-loop": 1}}, "dialogue.repeats", "pass"),
        ({"answers": 10, "notices": {"garbled-utf8": 4}}, "dialogue.garbled", "fail"),
        ({"answers": 10, "notices": {"boilerplate-reply": 4}}, "dialogue.boilerplate", "fail"),
        ({"answers": 10, "reasons": {"length": 8}}, "dialogue.cut", "warn"),
        ({"answers": 2, "reasons": {"length": 2}}, "dialogue.cut", "pass"),
    ],
)
def test_answers_of_late(
    with_facts: Any, status: Status, facts: dict[str, Any], check: str, expected: str
) -> None:
    assert status(check, with_facts(**facts)) == expected


@pytest.mark.parametrize(
    ("check", "text", "expected"),
    [
        ("dialogue.language", "长城是中国古代的伟大工程。", "pass"),
        ("dialogue.language", "The Great Wall is very long.", "fail"),
        ("dialogue.knows_turns", "I am Qwen.", "pass"),
        ("dialogue.knows_turns", "I am Qwen.\nUser: and then?", "fail"),
        ("dialogue.stops", "OK", "pass"),
        ("dialogue.no_loop", "red, green, blue", "pass"),
    ],
)
def test_longer_answers(served: Any, status: Status, check: str, text: str, expected: str) -> None:
    assert status(check, answering(served, all_words, text)) == expected


def test_an_answer_that_does_not_end(served: Any, status: Status) -> None:
    served.say({"type": "delta", "text": "OK OK"}, {"type": "done", "reason": "length"})
    assert status("dialogue.stops", served) == "fail"


def test_an_answer_that_runs_in_circles(served: Any, status: Status) -> None:
    served.say({"type": "delta", "text": "OK OK"}, {"type": "done", "reason": "repetition"})
    assert status("dialogue.no_loop", served) == "fail"


def test_a_busy_server_is_left_alone(with_worker: Any, status: Status) -> None:
    busy = with_worker(running=1)
    for name in ("history", "system_prompt", "stops", "language"):
        assert status(f"dialogue.{name}", busy) == "skip"
