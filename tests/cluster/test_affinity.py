"""A conversation stays where it is, and moves only when it must."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from qwell.cluster.affinity import affinity, preferred
from qwell.core import Message, Request

ENGINES = st.lists(st.text("abc123", min_size=1), min_size=2, max_size=6, unique=True)
HELLO = Request("r1", (Message("system", "Be kind."), Message("user", "hello")))


def test_every_turn_has_the_same_key() -> None:
    later = (*HELLO.messages, Message("assistant", "Hi!"), Message("user", "And?"))
    assert affinity(replace(HELLO, id="r2", messages=later)) == affinity(HELLO)


def test_other_conversations_have_other_keys() -> None:
    asked = replace(HELLO, messages=(Message("system", "Be kind."), Message("user", "bye")))
    assert affinity(asked) != affinity(HELLO)


def test_prompts_that_begin_alike_belong_together() -> None:
    start = "Translate into Chinese, and keep names as they are. " * 6
    assert affinity(Request("a", prompt=start + "one")) == affinity(Request("b", prompt=start))
    assert affinity(Request("a", prompt_ids=(1, 2))) != affinity(Request("b", prompt_ids=(1, 3)))


@given(st.text(), ENGINES)
def test_only_the_lost_engines_conversations_move(key: str, engines: list[str]) -> None:
    order = preferred(key, engines)
    assert sorted(order) == sorted(engines)
    for lost in engines:
        assert preferred(key, [e for e in engines if e != lost]) == [e for e in order if e != lost]


def test_conversations_are_spread() -> None:
    homes = [preferred(str(i), ["a", "b", "c", "d"])[0] for i in range(400)]
    assert all(60 < homes.count(name) < 140 for name in "abcd")
