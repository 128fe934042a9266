"""What fits, what goes, and that what stays makes sense."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwell.core import Message
from qwell.errors import QwellError
from qwell.text import ChatTemplate, Fitted, Tokenizer, fit

SYSTEM = Message("system", "Be terse.")
CALL = {"type": "function", "function": {"name": "f", "arguments": {}}}


def conversation(n_turns: int) -> list[Message]:
    """A system prompt, n questions with answers, and a last question."""
    turns = [
        message
        for i in range(n_turns)
        for message in (Message("user", f"question {i}"), Message("assistant", f"answer {i}"))
    ]
    return [SYSTEM, *turns, Message("user", "last")]


def n_tokens(template: ChatTemplate, messages: Sequence[Message]) -> int:
    return len(template.encode(Tokenizer.byte_level(), messages))


def test_all_stays_when_all_fits(template: ChatTemplate, tokenizer: Tokenizer) -> None:
    messages = conversation(3)
    ids = template.encode(tokenizer, messages)
    fitted = fit(template, tokenizer, messages, n_ctx=len(ids) + 10, reserve=10)
    assert fitted == Fitted(ids, 0, 0, len(ids))


def test_oldest_turn_goes_first(template: ChatTemplate, tokenizer: Tokenizer) -> None:
    messages = conversation(3)
    n = n_tokens(template, messages)
    fitted = fit(template, tokenizer, messages, n_ctx=n - 1, reserve=0)
    kept = [SYSTEM, *messages[3:]]
    assert fitted.ids == template.encode(tokenizer, kept)
    assert (fitted.dropped_messages, fitted.prompt_tokens) == (2, len(fitted.ids))
    assert fitted.dropped_tokens == n - len(fitted.ids)


def test_a_growing_conversation_keeps_its_cut_for_many_turns(
    template: ChatTemplate, tokenizer: Tokenizer
) -> None:
    cuts = []
    for n_turns in range(40, 80):
        fitted = fit(template, tokenizer, conversation(n_turns), n_ctx=1200, reserve=0)
        cuts.append(fitted.dropped_messages)
        assert 600 < fitted.prompt_tokens <= 1200
    assert cuts == sorted(cuts)
    assert 3 < len(set(cuts)) < 12


def test_a_long_system_prompt_leaves_the_cut_where_it_was_as_well(
    template: ChatTemplate, tokenizer: Tokenizer
) -> None:
    system = Message("system", "x" * 1000)
    cuts = [
        fit(
            template, tokenizer, [system, *conversation(n)[1:]], n_ctx=1300, reserve=0
        ).dropped_messages
        for n in range(20, 60)
    ]
    assert len(set(cuts)) < 25


@given(n_turns=st.integers(0, 9), room=st.integers(60, 600))
def test_what_stays_fits_and_a_block_more_would_not(
    template: ChatTemplate, n_turns: int, room: int
) -> None:
    messages = conversation(n_turns)
    fits = [
        n
        for n in range(n_turns + 1)
        if n_tokens(template, [SYSTEM, *messages[1 + 2 * n :]]) <= room
    ]
    tokenizer = Tokenizer.byte_level()
    if not fits:
        with pytest.raises(QwellError):
            fit(template, tokenizer, messages, n_ctx=room + 7, reserve=7)
        return
    fitted = fit(template, tokenizer, messages, n_ctx=room + 7, reserve=7)
    assert len(fitted.ids) <= room
    assert 2 * fits[0] <= fitted.dropped_messages <= 2 * fits[-1]
    if fits[0] == 0:
        assert fitted.dropped_messages == 0
    before = [SYSTEM, *messages[max(1, fitted.dropped_messages - 1) :]]
    if fitted.dropped_messages > 2 * fits[0]:
        assert n_tokens(template, before) > room - room // 4


def test_answers_and_tool_results_go_with_their_question(
    template: ChatTemplate, tokenizer: Tokenizer
) -> None:
    old = [
        Message("user", "use the tool"),
        Message("assistant", "", (CALL,)),
        Message("tool", "result " * 20),
        Message("assistant", "done"),
    ]
    new = [Message("user", "and now?")]
    fitted = fit(template, tokenizer, [SYSTEM, *old, *new], n_ctx=150, reserve=0)
    assert fitted.ids == template.encode(tokenizer, [SYSTEM, *new])
    assert fitted.dropped_messages == len(old)


def test_an_answer_at_the_front_goes_with_the_first_turn(
    template: ChatTemplate, tokenizer: Tokenizer
) -> None:
    messages = [Message("assistant", "Welcome! " * 20), Message("user", "hi")]
    fitted = fit(template, tokenizer, messages, n_ctx=200, reserve=0)
    assert fitted.ids == template.encode(tokenizer, messages[1:])


def test_the_answer_to_continue_stays(template: ChatTemplate, tokenizer: Tokenizer) -> None:
    messages = [*conversation(5), Message("assistant", "Once upon")]
    fitted = fit(template, tokenizer, messages, n_ctx=150, reserve=0, continue_last=True)
    assert bytes(fitted.ids[-9:]) == b"Once upon"
    assert fitted.dropped_messages > 0


def test_a_last_turn_that_cannot_fit_is_refused_with_numbers(
    template: ChatTemplate, tokenizer: Tokenizer
) -> None:
    messages = conversation(4)
    least = n_tokens(template, [SYSTEM, messages[-1]])
    with pytest.raises(QwellError) as caught:
        fit(template, tokenizer, messages, n_ctx=50, reserve=20)
    assert caught.value.fault == "context-overflow"
    assert f"of {least} tokens" in caught.value.found
    assert "at most 30 tokens: 50 of context, of which 20" in caught.value.expected


@pytest.mark.parametrize("messages", [[SYSTEM], [Message("assistant", "x")]])
def test_a_conversation_without_a_question_goes_whole_or_not_at_all(
    template: ChatTemplate, tokenizer: Tokenizer, messages: list[Message]
) -> None:
    with pytest.raises(QwellError) as caught:
        fit(template, tokenizer, messages, n_ctx=20, reserve=0)
    assert caught.value.fault == "context-overflow"
    assert fit(template, tokenizer, messages, n_ctx=500, reserve=0).dropped_messages == 0


def test_no_room_at_all_is_refused(template: ChatTemplate, tokenizer: Tokenizer) -> None:
    with pytest.raises(QwellError, match="at most 0 tokens"):
        fit(template, tokenizer, conversation(0), n_ctx=10, reserve=20)


def test_error_refuses_instead_of_dropping(template: ChatTemplate, tokenizer: Tokenizer) -> None:
    messages = conversation(3)
    n = n_tokens(template, messages)
    fit(template, tokenizer, messages, n_ctx=n, reserve=0, overflow="error")
    with pytest.raises(QwellError, match=f"of {n} tokens") as caught:
        fit(template, tokenizer, messages, n_ctx=n - 1, reserve=0, overflow="error")
    assert caught.value.fault == "context-overflow"


def test_a_long_past_takes_time_in_proportion(template: ChatTemplate) -> None:
    def seconds(n_turns: int) -> float:
        messages, tokenizer = conversation(n_turns), Tokenizer.byte_level()
        started = time.perf_counter()
        fit(template, tokenizer, messages, n_ctx=2000, reserve=0)
        return time.perf_counter() - started

    seconds(10)
    assert min(seconds(2000) for _ in range(3)) < 40 * min(seconds(200) for _ in range(3))
