"""What the next engine is asked, and what the reader sees of it."""

from __future__ import annotations

from qwell.cluster.relay import Relay
from qwell.core import Delta, Done, Message, Prefill, Queued, Request, Usage

HELLO = Request("r1", (Message("user", "count"),), max_tokens=10)
CALL = Delta("", tool_calls=({"id": "c", "name": "f", "arguments": ""},))


def said(relay: Relay, *texts: str) -> None:
    for text in texts:
        relay.passed(Delta(text))


def test_the_first_engine_gets_the_request_as_it_is() -> None:
    relay = Relay(HELLO)
    assert relay.rest() is HELLO
    assert relay.passed(Queued(1)) == Queued(1)


def test_the_next_engine_goes_on_after_what_was_said() -> None:
    relay = Relay(HELLO)
    relay.rest()
    said(relay, "one", " two")
    rest = relay.rest()
    assert rest.messages == (*HELLO.messages, Message("assistant", "one two"))
    assert (rest.continue_last, rest.max_tokens, rest.id) == (True, 8, "r1")
    said(relay, " three")
    assert relay.rest().messages[-1].content == "one two three"


def test_a_continuation_is_continued() -> None:
    begun = Request("r1", (Message("user", "x"), Message("assistant", "a")), continue_last=True)
    relay = Relay(begun)
    relay.rest()
    said(relay, "b")
    assert relay.rest().messages[-1].content == "ab"


def test_a_raw_prompt_grows() -> None:
    relay = Relay(Request("r1", prompt="Once"))
    relay.rest()
    said(relay, " upon")
    assert relay.rest().prompt == "Once upon"


def test_the_reader_is_not_told_twice_where_it_stands() -> None:
    relay = Relay(HELLO)
    relay.rest()
    said(relay, "one", " two")
    relay.rest()
    assert relay.passed(Prefill(3, 9)) is None
    assert relay.passed(Delta(" three")) == Delta(" three")
    done = relay.passed(Done("stop", Usage(9, 0, 1)))
    assert done == Done("stop", Usage(9, 0, 3))


def test_an_answer_in_a_schema_is_gone_on_with() -> None:
    relay = Relay(Request("r1", HELLO.messages, reply_schema={"type": "object"}))
    relay.rest()
    said(relay, "{")
    assert relay.can_move
    rest = relay.rest()
    assert (rest.messages[-1].content, rest.reply_schema) == ("{", {"type": "object"})


def test_with_tools_text_is_gone_on_with_and_a_call_is_not() -> None:
    relay = Relay(Request("r1", HELLO.messages, tools=({"function": {"name": "f"}},)))
    relay.rest()
    said(relay, "I look")
    assert relay.can_move
    assert relay.passed(CALL)
    assert not relay.can_move
    assert not Relay(HELLO, [Delta("I look"), CALL]).can_move
