"""Requests in, events out: what each request is told, and how it ends."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from qwell.backends import Cancelled, Chunk
from qwell.backends.scripted import Script
from qwell.core import Delta, Failed, Message, Notice, Prefill, Queued, Request, Sampling
from qwell.core import event_to_dict as as_dict

Build = Callable[..., Any]


def test_an_answer_arrives_whole(bench: Build) -> None:
    b = bench()
    b.ask("a", "hello 你好 🙂")
    b.run()
    assert b.text("a") == "hello 你好 🙂"
    done = b.done("a")
    assert done.reason == "stop"
    assert done.usage.completion_tokens == len("hello 你好 🙂".encode())
    assert not b.engine.has_work


def test_no_delta_splits_a_character(bench: Build) -> None:
    b = bench()
    b.ask("a", "你好")
    b.run()
    assert [e.text for e in b.events["a"] if isinstance(e, Delta)] == ["你", "好"]


def test_many_answers_at_once_do_not_mix(bench: Build) -> None:
    b = bench(n_slots=3)
    for i in range(8):
        b.ask(str(i), f"message number {i}" * (i + 1))
    b.run()
    for i in range(8):
        assert b.text(str(i)) == f"message number {i}" * (i + 1)
        assert b.done(str(i)).reason == "stop"


def test_reading_the_prompt_is_reported_chunk_by_chunk(bench: Build) -> None:
    b = bench()
    b.ask("a", "x" * 150)
    b.run()
    reports = [e for e in b.events["a"] if isinstance(e, Prefill)]
    total = b.done("a").usage.prompt_tokens
    assert [e.done for e in reports] == [64, 128, total]
    assert {(e.total, e.cached) for e in reports} == {(total, 0)}


def test_a_long_prompt_does_not_stop_a_running_answer(bench: Build) -> None:
    b = bench()
    b.ask("talker", "t" * 40)
    b.step()
    b.ask("reader", "r" * 200)
    before = len(b.text("talker"))
    for _ in range(5):
        b.step()
    assert len(b.text("talker")) == before + 5
    assert sum(isinstance(e, Prefill) for e in b.events["reader"]) == 5


def test_the_next_turn_reuses_the_last(bench: Build) -> None:
    b = bench()
    b.ask("1", "first")
    b.run()
    turns = (Message("user", "first"), Message("assistant", "first"), Message("user", "second"))
    b.add(Request("2", turns))
    b.run()
    first, second = b.done("1").usage, b.done("2").usage
    assert first.cached_tokens == 0
    # all of the first prompt and all of its answer but the token that nobody had to read
    assert second.cached_tokens == first.prompt_tokens + first.completion_tokens
    assert b.text("2") == "second"


def test_a_system_prompt_is_shared_between_conversations(bench: Build) -> None:
    b = bench()
    system = Message("system", "Be brief. " * 10)
    b.add(Request("1", (system, Message("user", "one"))))
    b.step()
    b.step()
    b.step()
    b.add(Request("2", (system, Message("user", "two"))))
    b.run()
    assert b.done("2").usage.cached_tokens > 100
    assert (b.text("1"), b.text("2")) == ("one", "two")


def test_waiting_is_reported_with_position(bench: Build) -> None:
    b = bench(n_slots=1)
    for name in "abc":
        b.ask(name, name)
    b.run()
    assert not any(isinstance(e, Queued) for e in b.events["a"])
    assert [e.position for e in b.events["b"] if isinstance(e, Queued)] == [1]
    assert [e.position for e in b.events["c"] if isinstance(e, Queued)] == [2, 1]
    later = [e for e in b.events["c"] if isinstance(e, Queued)][-1]
    assert later.wait_s is not None
    assert later.wait_s > 0


@pytest.mark.parametrize(("max_tokens", "text"), [(3, "hel"), (1, "h"), (0, "")])
def test_length_ends_an_answer(bench: Build, max_tokens: int, text: str) -> None:
    b = bench()
    b.ask("a", "hello", max_tokens=max_tokens)
    b.run()
    assert b.text("a") == text
    assert b.done("a").reason == "length"
    assert b.done("a").usage.completion_tokens == max_tokens


def test_the_context_ends_an_endless_answer(bench: Build) -> None:
    words = " ".join(map(str, range(1000)))
    b = bench(n_ctx=128, reply=lambda _: words)
    b.ask("a", "go on")
    b.run()
    done = b.done("a")
    assert done.reason == "length"
    assert done.usage.prompt_tokens + done.usage.completion_tokens == 128
    assert words.startswith(b.text("a"))


def test_a_stop_string_ends_an_answer_and_does_not_show(bench: Build) -> None:
    b = bench()
    b.ask("a", "one END two", stop=("END",))
    b.run()
    assert b.text("a") == "one "
    assert b.done("a").reason == "stop"


def test_a_loop_is_ended_with_a_notice(bench: Build) -> None:
    b = bench(reply=lambda _: "again and " * 40)
    b.ask("a", "x")
    b.run()
    assert b.done("a").reason == "repetition"
    (notice,) = [event for event in b.events["a"] if isinstance(event, Notice)]
    assert notice.code == "repetition-loop"
    assert notice.detail["retry"]["sampling"] == {"temperature": 0.7, "repetition_penalty": 1.1}
    assert len(b.text("a")) < 200


def test_forgotten_turns_are_announced(bench: Build) -> None:
    b = bench(n_ctx=256)
    turns = [Message(role, "x" * 60) for _ in range(4) for role in ("user", "assistant")]  # type: ignore[arg-type]
    b.add(Request("a", (*turns, Message("user", "last"))))
    b.run()
    notice = b.events["a"][0]
    assert isinstance(notice, Notice)
    assert notice.code == "context-overflow"
    assert notice.detail["dropped_messages"] > 0
    assert b.text("a") == "last"


def test_a_prompt_that_cannot_fit_fails_at_once_and_alone(bench: Build) -> None:
    b = bench(n_ctx=128)
    b.ask("big", "x" * 500)
    end = b.end("big")
    assert isinstance(end, Failed)
    assert end.code == "context-overflow"
    assert end.request_id == "big"
    b.ask("small", "hi")
    b.run()
    assert b.text("small") == "hi"


@pytest.mark.parametrize("prompt", ["Once upon", ""])
def test_plain_completion(bench: Build, prompt: str) -> None:
    b = bench(Script(answer=" a time"))
    b.add(Request("a", prompt=prompt))
    b.run()
    assert b.text("a") == " a time"


def test_an_answer_can_be_continued(bench: Build) -> None:
    b = bench(reply=lambda _: "one two")
    turns = (Message("user", "count"), Message("assistant", "one"))
    b.add(Request("a", turns, continue_last=True))
    b.run()
    assert b.text("a") == " two"


def test_a_paused_answer_keeps_its_place_and_costs_no_steps(bench: Build) -> None:
    b = bench(n_slots=1)
    b.ask("a", "one two three")
    b.ask("b", "four")
    b.step()
    b.engine.pause("a")
    b.engine.pause("b")
    b.engine.pause("b")
    assert not b.engine.has_work
    b.engine.resume("b")
    assert not b.engine.has_work  # the only slot is still that of a
    b.engine.resume("a")
    b.run()
    assert (b.text("a"), b.text("b")) == ("one two three", "four")


@pytest.mark.parametrize("n_steps", [0, 1, 3, 8])
def test_cancel_in_queue_prefill_and_decode(bench: Build, n_steps: int) -> None:
    b = bench(n_slots=1)
    b.ask("a", "x" * 150)
    b.ask("b", "next")
    for _ in range(n_steps):
        b.step()
    b.cancel("a")
    assert b.done("a").reason == "cancelled"
    b.cancel("a")
    b.run()
    assert b.text("b") == "next"
    assert b.done("b").reason == "stop"


def test_cancelling_a_waiting_request_moves_the_others_up(bench: Build) -> None:
    b = bench(n_slots=1)
    for name in "abc":
        b.ask(name, name * 30)
    b.step()
    b.cancel("b")
    assert b.events["c"][-1] == Queued(1)
    b.run()
    assert b.text("c") == "c" * 30


def test_half_a_character_is_shown_as_such_when_cancelled(bench: Build) -> None:
    b = bench()
    b.ask("a", "你")
    b.step()
    b.cancel("a")
    assert b.text("a") == "\ufffd"


def test_one_failing_row_does_not_take_the_others_along(bench: Build) -> None:
    b = bench(Script(fail_after=2, when="poison"), n_slots=2)
    b.ask("good", "wholesome")
    b.ask("bad", "poison")
    b.run()
    assert b.text("good") == "wholesome"
    end = b.end("bad")
    assert isinstance(end, Failed)
    assert end.code == "inference-failed"
    b.ask("after", "still here")
    b.run()
    assert b.text("after") == "still here"


def test_logits_that_are_not_numbers_fail_rather_than_babble(bench: Build) -> None:
    b = bench(Script(nan_after=1))
    b.ask("a", "hello")
    b.run()
    end = b.end("a")
    assert isinstance(end, Failed)
    assert end.code == "weights-corrupt"


def test_infinite_logits_fail_too(bench: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    b = bench()
    bad = np.full(b.backend.limits.n_vocab, np.inf, np.float32)
    monkeypatch.setattr(b.backend, "forward", lambda batch: [bad for _ in batch])
    b.ask("a", "hello")
    b.run()
    assert isinstance(b.end("a"), Failed)


def test_a_cancelled_step_is_run_again(bench: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    b = bench()
    forward = b.backend.forward
    calls = []

    def cancelled_every_other_time(batch: Sequence[Chunk]) -> object:
        calls.append(1)
        if len(calls) % 2:
            raise Cancelled
        return forward(batch)

    monkeypatch.setattr(b.backend, "forward", cancelled_every_other_time)
    b.ask("a", "hello")
    b.run()
    assert b.text("a") == "hello"


def test_a_copy_that_fails_ends_one_request_only(
    bench: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(source: int, target: int, n: int) -> None:
        raise MemoryError

    b = bench()
    monkeypatch.setattr(b.backend, "copy", broken)
    b.ask("a", "x" * 40 + "a")
    b.step()
    b.ask("b", "x" * 40 + "b")
    b.run()
    end = b.end("b")
    assert isinstance(end, Failed)
    assert end.code == "insufficient-ram"
    assert b.text("a") == "x" * 40 + "a"


def test_logprobs_cover_every_token_and_are_json(bench: Build) -> None:
    b = bench()
    b.ask("a", "é!", top_logprobs=2)
    b.run()
    entries = [entry for e in b.events["a"] if isinstance(e, Delta) for entry in e.logprobs]
    assert bytes(byte for entry in entries for byte in entry["bytes"]) == "é!".encode()
    assert all(entry["logprob"] == pytest.approx(0, abs=1e-3) for entry in entries)
    assert all(len(entry["top_logprobs"]) == 2 for entry in entries)
    assert entries[0]["top_logprobs"][0]["bytes"] == entries[0]["bytes"]
    json.dumps([as_dict(event) for event in b.events["a"]])


def test_without_logprobs_none_are_computed(bench: Build) -> None:
    b = bench()
    b.ask("a", "hi")
    b.run()
    assert all(not e.logprobs for e in b.events["a"] if isinstance(e, Delta))


def test_times_come_from_the_clock_it_was_given(bench: Build) -> None:
    b = bench()
    b.ask("a", "hello")
    b.run()
    timings = b.done("a").timings
    assert timings.queue_ms == 1000
    assert timings.prefill_ms == 3000  # two of them are looks at how long the step took
    assert timings.ttft_ms == 4000
    assert timings.tok_s > 0


def test_a_bias_reaches_the_sampler(bench: Build) -> None:
    b = bench()
    b.ask("a", "hi", sampling=Sampling(logit_bias={ord("z"): 100.0}), max_tokens=3)
    b.run()
    assert b.text("a") == "zzz"


def test_a_queue_that_moves_fast_is_not_reported_at_every_move(
    bench: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = bench(n_slots=1)
    monkeypatch.setattr(b.engine, "_clock", lambda: 0.5)
    for name in "abcdefgh":
        b.ask(name, name)
    b.run()
    assert [e.position for e in b.events["h"] if isinstance(e, Queued)] == [7]
