"""Whatever order things happen in: no slot leaks, nobody starves, everyone hears one end."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from qwell.backends import Cancelled, Chunk, Logits
from qwell.backends.scripted import Script, ScriptedBackend
from qwell.core import Delta, Done, Event, Message, Request, is_terminal
from qwell.engine.engine import Engine, Events
from qwell.engine.scheduler import Policy
from qwell.worker.loading import scripted_text

TEXT = scripted_text()
N_SLOTS = 3
WORDS = st.lists(st.sampled_from(["alpha ", "beta ", "poison ", "你好 "]), max_size=8).map("".join)


class MoodyBackend(ScriptedBackend):
    """Forgets a batch half-way when told to."""

    is_moody = False

    def forward(self, batch: Sequence[Chunk]) -> list[Logits | None]:
        if self.is_moody:
            self.is_moody = False
            raise Cancelled
        return super().forward(batch)


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.backend = MoodyBackend(Script(fail_after=1, when="poison"), n_ctx=160, n_slots=N_SLOTS)
        policy = Policy(alone_tokens=32, shared_tokens=8, min_copied=4)
        self.engine = Engine(self.backend, TEXT, lambda: 0.0, policy=policy)
        self.asked: dict[str, str] = {}
        self.events: dict[str, list[Event]] = {}

    def keep(self, events: Events) -> None:
        for request_id, event in events:
            told = self.events[request_id]
            assert not told or not is_terminal(told[-1]), "an event after the end"
            told.append(event)

    def is_over(self, name: str) -> bool:
        return bool(self.events[name]) and is_terminal(self.events[name][-1])

    @rule(words=WORDS, history=WORDS)
    def add(self, words: str, history: str) -> None:
        name = str(len(self.asked))
        self.asked[name] = words
        self.events[name] = []
        earlier = (Message("user", history), Message("assistant", history)) if history else ()
        self.keep(self.engine.add(Request(name, (*earlier, Message("user", words)))))

    @precondition(lambda self: self.engine.has_work)
    @rule(n=st.integers(1, 6))
    def step(self, n: int) -> None:
        for _ in range(n):
            if self.engine.has_work:
                self.keep(self.engine.step())

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.asked)))
        self.keep(self.engine.cancel(name))
        assert self.is_over(name)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def pause(self, data: st.DataObject) -> None:
        self.engine.pause(data.draw(st.sampled_from(sorted(self.asked))))

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        self.engine.resume(data.draw(st.sampled_from(sorted(self.asked))))

    @rule()
    def interrupt_the_next_step(self) -> None:
        self.backend.is_moody = True

    @invariant()
    def slots_belong_to_those_who_run(self) -> None:
        scheduler = self.engine._scheduler
        holders = (*scheduler.running, *scheduler.paused)
        owners = [s.slot.index for s in holders if s.slot is not None]
        assert sorted(owners) == [slot.index for slot in scheduler.slots if slot.is_busy]
        live = {s.request.id for s in (*holders, *scheduler.waiting)}
        assert live == {name for name in self.asked if not self.is_over(name)}

    @invariant()
    def slots_hold_what_the_engine_believes(self) -> None:
        for slot in self.engine._scheduler.slots:
            held = self.backend._slots[slot.index][: len(slot.ids)]
            assert held == slot.ids

    def teardown(self) -> None:
        for name in self.asked:
            self.engine.resume(name)
        n_steps = 0
        while self.engine.has_work:
            self.keep(self.engine.step())
            n_steps += 1
            assert n_steps < 10_000, "somebody starves"
        for name, words in self.asked.items():
            assert self.is_over(name)
            end = self.events[name][-1]
            if isinstance(end, Done) and end.reason == "stop":
                said = [e.text for e in self.events[name] if isinstance(e, Delta)]
                assert "".join(said) == (words or "ok")


Machine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestMachine = Machine.TestCase
