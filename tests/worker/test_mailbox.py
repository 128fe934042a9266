"""A slow reader gets the same text in larger pieces."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwell.core import Delta, Done, Event, Failed, Loading, Notice, Prefill, Queued, is_terminal
from qwell.worker.mailbox import Mailbox

EVENTS = st.one_of(
    st.builds(Queued, st.integers(0, 9)),
    st.builds(Loading, st.floats(0, 1)),
    st.builds(Prefill, st.integers(0, 9), st.integers(0, 9)),
    st.builds(Delta, st.text(max_size=3)),
    st.builds(Notice, st.sampled_from(["context-overflow", "repetition-loop"])),
)


async def drained(mailbox: Mailbox) -> list[Event]:
    events = [await mailbox.get()]
    while not is_terminal(events[-1]):
        events.append(await mailbox.get())
    return events


@given(st.lists(EVENTS, max_size=30))
def test_no_text_is_lost_and_neighbours_are_merged(sent: list[Event]) -> None:
    async def scenario() -> list[Event]:
        mailbox = Mailbox(room=0)
        for event in [*sent, Done()]:
            mailbox.put(event)
        return await drained(mailbox)

    got = asyncio.run(scenario())
    texts = [[e.text for e in events if isinstance(e, Delta)] for events in (sent, got)]
    assert "".join(texts[0]) == "".join(texts[1])
    assert [e for e in got if isinstance(e, Notice)] == [e for e in sent if isinstance(e, Notice)]
    kinds = [type(e) for e in got]
    assert all(a is not b or a is Notice for a, b in pairwise(kinds))


@pytest.mark.anyio
async def test_logprobs_stay_in_order_when_merged() -> None:
    mailbox = Mailbox(room=1)
    mailbox.put(Delta("a", ({"token": "a"},)))
    mailbox.put(Delta("b", ({"token": "b"},)))
    assert await mailbox.get() == Delta("ab", ({"token": "a"}, {"token": "b"}))


@pytest.mark.anyio
async def test_pieces_stay_apart_while_there_is_room() -> None:
    mailbox = Mailbox(room=2)
    for text in "abcd":
        mailbox.put(Delta(text))
    assert [await mailbox.get(), await mailbox.get()] == [Delta("a"), Delta("bcd")]


@pytest.mark.anyio
async def test_the_first_end_is_the_only_one() -> None:
    mailbox = Mailbox()
    for event in (Failed("worker-crashed"), Done(), Delta("late"), Failed("oom-killed")):
        mailbox.put(event)
    assert mailbox.closed
    assert await drained(mailbox) == [Failed("worker-crashed")]


@pytest.mark.anyio
async def test_get_waits_for_an_event() -> None:
    mailbox = Mailbox()
    reader = asyncio.create_task(mailbox.get())
    await asyncio.sleep(0)
    assert not reader.done()
    mailbox.put(Delta("x"))
    assert await reader == Delta("x")
