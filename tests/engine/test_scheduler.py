"""Slots are chosen for what they hold; no prompt stops the others."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwell.core import Request, Sampling
from qwell.engine.sampling import Contenders, Rules, new_sampler
from qwell.engine.scheduler import Policy, Scheduler, common_prefix
from qwell.engine.sequence import Sequence
from qwell.engine.transcript import Transcript
from qwell.text import Tokenizer

TOKENIZER = Tokenizer.byte_level()
POLICY = Policy(inf, 64, inf, 16, min_copied=4)


def sequence(name: str, ids: list[int]) -> Sequence:
    rules = Rules.of(Sampling(), {})
    return Sequence(
        request=Request(name),
        ids=list(ids),
        n_prompt=len(ids),
        n_max=10,
        rules=rules,
        sampler=new_sampler(rules, 259, ids, 0),
        contenders=Contenders(rules, 259, ids),
        transcript=Transcript(TOKENIZER, Request(name)),
        arrived=0.0,
    )


def admitted(scheduler: Scheduler, name: str, ids: list[int]) -> Sequence:
    new = sequence(name, ids)
    scheduler.waiting.append(new)
    return scheduler.admit(scheduler.place(new))


def read_all(new: Sequence) -> None:
    assert new.slot is not None
    new.slot.ids = list(new.ids)


def ended(scheduler: Scheduler, name: str, ids: list[int]) -> None:
    done = admitted(scheduler, name, ids)
    read_all(done)
    scheduler.release(done)


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_common_prefix(left: list[int], right: list[int]) -> None:
    n = common_prefix(left, right)
    assert left[:n] == right[:n]
    assert left[n : n + 1] != right[n : n + 1] or not left[n:]


def test_the_next_turn_continues_in_its_own_slot() -> None:
    scheduler = Scheduler(3, POLICY)
    ended(scheduler, "a", [1] * 10)
    ended(scheduler, "b", [2] * 10)
    turn = admitted(scheduler, "b2", [2] * 10 + [3] * 5)
    assert turn.slot is scheduler.slots[1]
    assert turn.n_reused == 10


def test_the_last_prompt_token_is_never_reused() -> None:
    scheduler = Scheduler(1, POLICY)
    ended(scheduler, "a", [1] * 10)
    assert admitted(scheduler, "again", [1] * 10).n_reused == 9


def test_a_stranger_takes_the_slot_unused_for_longest() -> None:
    scheduler = Scheduler(2, POLICY)
    ended(scheduler, "a", [1] * 10)
    ended(scheduler, "b", [2] * 10)
    assert admitted(scheduler, "c", [3] * 10).slot is scheduler.slots[0]


def test_a_shared_beginning_is_copied_from_a_busy_slot() -> None:
    scheduler = Scheduler(2, POLICY)
    read_all(admitted(scheduler, "a", [1] * 10 + [2] * 5))
    place = scheduler.place(sequence("b", [1] * 10 + [3] * 5))
    assert place.source is scheduler.slots[0]
    assert place.slot is scheduler.slots[1]
    assert place.n_reused == 10


def test_a_shared_beginning_is_copied_rather_than_a_conversation_lost() -> None:
    scheduler = Scheduler(2, POLICY)
    ended(scheduler, "long", [1] * 10 + [2] * 50)
    place = scheduler.place(sequence("short", [1] * 10 + [3] * 5))
    assert (place.source.index, place.slot.index, place.n_reused) == (0, 1, 10)


def test_a_beginning_too_short_to_pay_is_not_copied() -> None:
    scheduler = Scheduler(2, POLICY)
    read_all(admitted(scheduler, "a", [1] * 3 + [2] * 5))
    place = scheduler.place(sequence("b", [1] * 3 + [3] * 5))
    assert (place.source.index, place.slot.index, place.n_reused) == (1, 1, 0)


def test_a_damaged_slot_holds_nothing() -> None:
    scheduler = Scheduler(1, POLICY)
    broken = admitted(scheduler, "a", [1] * 10)
    read_all(broken)
    scheduler.release(broken, damaged=True)
    assert admitted(scheduler, "b", [1] * 10).n_reused == 0


def test_alone_a_prompt_gets_the_whole_budget() -> None:
    scheduler = Scheduler(2, POLICY)
    admitted(scheduler, "a", [1] * 100)
    [(_, chunk)] = scheduler.plan()
    assert len(chunk.tokens) == 64
    assert not chunk.want_logits


def test_two_prompts_share_short_steps() -> None:
    scheduler = Scheduler(2, POLICY)
    admitted(scheduler, "long", [1] * 100)
    admitted(scheduler, "short", [2] * 5)
    sizes = {s.request.id: len(chunk.tokens) for s, chunk in scheduler.plan()}
    assert sizes == {"short": 5, "long": 11}


def test_a_slow_machine_reads_less_in_a_step() -> None:
    policy = Policy(alone_s=1.0, shared_s=0.1)
    fast, slow = Scheduler(2, policy), Scheduler(2, policy)
    for scheduler, token_s in ((fast, 0.001), (slow, 0.01)):
        admitted(scheduler, "prompt", [1] * 2000)
        rows = scheduler.plan()
        scheduler.note(rows, token_s * len(rows[0][1].tokens))
        read_all(answering := admitted(scheduler, "answer", [2] * 5))
        answering.ids.append(9)
    sizes = [len(scheduler.plan()[1][1].tokens) for scheduler in (fast, slow)]
    assert sizes == [pytest.approx(100, abs=2), pytest.approx(10, abs=1)]


def test_answering_rows_come_first_and_bound_the_prompts() -> None:
    scheduler = Scheduler(2, POLICY)
    admitted(scheduler, "prompt", [1] * 100)
    answering = admitted(scheduler, "answer", [2] * 5)
    read_all(answering)
    answering.ids.append(9)
    (first, decode), (_, prefill) = scheduler.plan()
    assert first is answering
    assert (list(decode.tokens), decode.want_logits) == ([9], True)
    assert len(prefill.tokens) == 16


@given(st.lists(st.integers(2, 300), min_size=1, max_size=8))
def test_every_prompt_gets_a_share_in_every_step(lengths: list[int]) -> None:
    scheduler = Scheduler(len(lengths), POLICY)
    for i, n in enumerate(lengths):
        admitted(scheduler, str(i), [i] * n)
    sizes = {s.request.id: len(chunk.tokens) for s, chunk in scheduler.plan()}
    budget = 64 if len(lengths) == 1 else 16
    assert sum(sizes.values()) == min(budget, sum(lengths))
    fair = budget // len(lengths)
    assert all(sizes[str(i)] >= min(n, fair) for i, n in enumerate(lengths))


@pytest.mark.parametrize("n_slots", [1, 3])
def test_no_more_run_than_there_are_slots(n_slots: int) -> None:
    scheduler = Scheduler(n_slots, POLICY)
    for i in range(5):
        scheduler.waiting.append(sequence(str(i), [i]))
    while scheduler.can_admit:
        scheduler.admit(scheduler.place(scheduler.waiting[0]))
    assert len(scheduler.running) == n_slots
    assert [s.request.id for s in scheduler.running] == [str(i) for i in range(n_slots)]
