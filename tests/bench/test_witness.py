"""A witness must notice: what it lets pass, no run of chaos will find."""

from typing import Any

import pytest

from qwell.bench.witness import Witness

QUEUED = {"seq": 0, "type": "queued", "stream": "s1"}
DONE = {"type": "done", "reason": "stop"}


def seen(*events: dict[str, Any], expected: str | None = "hello") -> Witness:
    numbered = [{"seq": i, **event} for i, event in enumerate(events)]
    return Witness("sse", expected, events=numbered)


def delta(text: str) -> dict[str, Any]:
    return {"type": "delta", "text": text}


def test_a_good_answer_has_no_problems() -> None:
    witness = seen(QUEUED, delta("hel"), delta("lo"), DONE)
    assert witness.problems() == []
    assert (witness.stream, witness.text, witness.outcome) == ("s1", "hello", "stop")


@pytest.mark.parametrize(
    "end",
    [
        {"type": "done", "reason": "cancelled"},
        {"type": "error", "code": "worker-crashed", "fix": "again"},
    ],
)
def test_an_answer_cut_short_has_none_either(end: dict[str, Any]) -> None:
    assert seen(QUEUED, delta("he"), end).problems() == []


def test_an_answer_may_be_stopped_within_a_character() -> None:
    end = {"type": "done", "reason": "cancelled"}
    assert seen(QUEUED, delta("你\ufffd"), end, expected="你好").problems() == []


def test_a_refusal_needs_no_number() -> None:
    refusal = {"type": "error", "code": "request-queueing", "fix": "retry"}
    witness = Witness("sse", "hello", events=[refusal])
    assert witness.is_refused
    assert witness.problems() == []


@pytest.mark.parametrize(
    ("witness", "problem"),
    [
        (seen(QUEUED, delta("hello")), "0 terminal"),
        (seen(QUEUED, delta("hello"), DONE, DONE), "2 terminal"),
        (seen(QUEUED, DONE, delta("hello")), "1 terminal events, the last is open"),
        (Witness("sse", "", events=[QUEUED, {"seq": 2, **DONE}]), "numbers"),
        (seen(QUEUED, delta("hell"), DONE), "came as the whole"),
        (seen(QUEUED, delta("lo"), {"type": "done", "reason": "cancelled"}), "no beginning"),
        (seen(QUEUED, delta("hello!"), DONE), "came as the whole"),
        (seen(QUEUED, {"type": "error", "code": "x", "fix": ""}), "without code or fix"),
    ],
)
def test_every_broken_promise_is_named(witness: Witness, problem: str) -> None:
    assert any(problem in found for found in witness.problems())


def test_a_model_that_says_what_it_likes_is_only_counted() -> None:
    assert seen(QUEUED, delta("anything"), DONE, expected=None).problems() == []


def stored(answer: str, state: str = "done") -> list[dict[str, str]]:
    question = {"role": "user", "content": "hello", "state": "done"}
    return [question, {"role": "assistant", "content": answer, "state": state}]


def test_what_was_shown_must_be_stored() -> None:
    witness = seen(QUEUED, delta("hel"), {"type": "done", "reason": "cancelled"})
    assert witness.problems_of_store(stored("hel")) == []
    assert "was shown" in witness.problems_of_store(stored("he"))[0]
    assert "was shown" in witness.problems_of_store(stored("hel")[:1])[0]
    assert "partial" in witness.problems_of_store(stored("hel", "partial"))[0]
