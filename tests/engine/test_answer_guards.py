"""What an engine says beside an answer: calls, grammars, limits, odd answers, encoding only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from qwell.core import Delta, Done, Failed, Message, Notice, Request, Tokens

Build = Callable[..., Any]
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
RAIN = {"type": "function", "function": {"name": "weather", "parameters": CITY}}
GARBLED = "你好世界".encode().decode("latin-1") * 3
CALL = '<tool_call>\n{"name": "weather", "arguments": {}}\n</tool_call>'
JSON = '{"a": "é", "b": [1]}'


def notices(bench: Any, name: str) -> list[str]:
    return [event.code for event in bench.events[name] if isinstance(event, Notice)]


def called(bench: Any, name: str) -> list[Any]:
    return [piece for e in bench.events[name] if isinstance(e, Delta) for piece in e.tool_calls]


def test_calls_are_told_apart_from_text(bench: Build) -> None:
    b = bench(reply=lambda _: f"Let me see.\n{CALL}")
    b.ask("a", "rain?", tools=(TOOL,))
    b.run()
    pieces = called(b, "a")
    assert pieces[0]["name"] == "weather"
    assert pieces[0]["id"].startswith("call_")
    assert "".join(piece["arguments"] for piece in pieces) == "{}"
    assert b.text("a") == "Let me see."
    assert b.done("a").reason == "tool_calls"


def test_arguments_are_told_while_they_are_written(bench: Build) -> None:
    b = bench(reply=lambda _: CALL.replace("{}", '{"city": "Bonn"}'))
    b.ask("a", "rain?", tools=(RAIN,))
    b.run()
    pieces = called(b, "a")
    assert len(pieces) > 10
    assert "".join(piece["arguments"] for piece in pieces) == '{"city": "Bonn"}'


def test_a_call_that_is_cut_off_is_no_finished_one(bench: Build) -> None:
    b = bench(reply=lambda _: CALL.replace("{}", '{"city": "Bonn"}'))
    b.ask("a", "rain?", tools=(RAIN,), stop=("Bo",))
    b.run()
    assert "".join(piece["arguments"] for piece in called(b, "a")) == '{"city": "'
    assert b.done("a").reason == "stop"


def test_without_tools_the_same_text_is_text(bench: Build) -> None:
    b = bench(reply=lambda _: CALL)
    b.ask("a", "rain?")
    b.run()
    assert b.text("a") == CALL
    assert b.done("a").reason == "stop"


def test_an_answer_ends_where_its_grammar_does(bench: Build) -> None:
    b = bench(reply=lambda _: '{"a": 1} and then some')
    b.ask("a", "x", reply_schema={"type": "object"})
    b.run()
    assert b.text("a") == '{"a": 1}'
    assert b.done("a").reason == "stop"


@pytest.mark.parametrize("n", range(len(JSON) + 1))
def test_json_is_gone_on_with_wherever_it_broke_off(bench: Build, n: int) -> None:
    b = bench(reply=lambda _: f"{JSON} and then some")
    begun = (Message("user", "x"), Message("assistant", JSON[:n]))
    b.add(Request("a", begun, continue_last=True, reply_schema={"type": "object"}))
    b.run()
    assert b.text("a") == JSON[n:]
    assert b.done("a").reason == "stop"


def test_text_that_is_gone_on_with_begins_no_call_without_tags(bench: Build) -> None:
    bare = '{"name": "weather", "arguments": {}}'
    b = bench(reply=lambda _: f"Like this: {bare}")
    begun = (Message("user", "x"), Message("assistant", "Like this: "))
    b.add(Request("a", begun, continue_last=True, tools=(RAIN,)))
    b.run()
    assert (b.text("a"), called(b, "a")) == (bare, [])


def test_a_schema_that_cannot_be_followed_fails_only_its_request(bench: Build) -> None:
    b = bench()
    b.ask("good", "x")
    b.ask("bad", "x", reply_schema={"type": "strange"})
    b.run()
    assert isinstance(b.end("bad"), Failed)
    assert b.end("bad").code == "invalid-request-body"
    assert b.text("good") == "x"


def test_the_stop_string_is_named(bench: Build) -> None:
    b = bench(reply=lambda _: "one END two")
    b.ask("a", "x", stop=("END",))
    b.run()
    assert (b.text("a"), b.done("a").stop) == ("one ", "END")


def test_a_limit_that_nobody_asked_for_is_told(bench: Build) -> None:
    b = bench(reply=lambda _: "abcdefgh", default_max_tokens=4)
    b.ask("default", "x")
    b.ask("asked", "y", max_tokens=3)
    b.run()
    assert (b.text("default"), notices(b, "default")) == ("abcd", ["max-tokens-cut"])
    assert (b.text("asked"), notices(b, "asked")) == ("abc", [])


def test_garbled_text_is_told_once(bench: Build) -> None:
    b = bench(reply=lambda _: GARBLED)
    b.ask("a", "say hello in Chinese")
    b.run()
    assert notices(b, "a") == ["garbled-utf8"]


def test_who_asks_about_garbled_text_may_see_some(bench: Build) -> None:
    b = bench()
    b.ask("a", f"what is {GARBLED}?")
    b.run()
    assert notices(b, "a") == []


def test_the_same_apology_for_another_question_is_told(bench: Build) -> None:
    sorry = "I'm sorry, but I can't assist with that."
    b = bench(reply=lambda _: sorry)
    turns = (Message("user", "one?"), Message("assistant", sorry), Message("user", "two?"))
    b.add(Request("a", turns))
    b.run()
    assert notices(b, "a") == ["boilerplate-reply"]
    assert isinstance(b.events["a"][-1], Done)


@pytest.mark.parametrize(
    ("request_", "ids"),
    [
        (Request("a", prompt="hi", encode_only=True), [*b"hi"]),
        (Request("a", prompt_ids=(104, 258), encode_only=True), [104, 258]),
        (
            Request("a", (Message("user", "hi"),), encode_only=True),
            [257, *b"user\nhi", 258, *b"\n", 257, *b"assistant\n"],
        ),
    ],
)
def test_encoding_only_computes_nothing(bench: Build, request_: Request, ids: list[int]) -> None:
    b = bench()
    b.add(request_)
    tokens, done = b.events["a"]
    assert isinstance(tokens, Tokens)
    assert list(tokens.ids) == ids
    assert tokens.text.startswith(("hi", "h<|im_end|>", "<|im_start|>user"))
    assert done.usage.prompt_tokens == len(ids)
    assert not b.engine.has_work
    assert not b.backend.log


def test_encoding_only_knows_no_end_of_the_context(bench: Build) -> None:
    b = bench(n_ctx=64)
    b.ask("a", "x" * 500, encode_only=True)
    assert b.done("a").usage.prompt_tokens > 500


def test_tokens_that_do_not_exist_are_refused(bench: Build) -> None:
    b = bench()
    b.add(Request("a", prompt_ids=(1, 259)))
    assert b.end("a").code == "invalid-request-body"


def test_what_was_dropped_is_told_and_counted(bench: Build) -> None:
    b = bench(n_ctx=200)
    turns = tuple(Message("user", "x" * 50) for _ in range(8))
    b.add(Request("a", turns))
    b.run()
    (notice,) = [event for event in b.events["a"] if isinstance(event, Notice)]
    detail, usage = notice.detail, b.done("a").usage
    assert detail["tokens_before"] - detail["tokens_after"] == detail["dropped_tokens"]
    assert (usage.prompt_tokens, usage.dropped_tokens) == (
        detail["tokens_after"],
        detail["dropped_tokens"],
    )
