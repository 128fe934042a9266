"""A bench for engine tests: an engine over the scripted backend, and what it said to whom."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from math import inf

import pytest

from qwell.backends.scripted import Script, ScriptedBackend
from qwell.core import Delta, Done, Event, Message, Request, is_terminal
from qwell.engine.engine import Engine, Events
from qwell.engine.scheduler import Policy
from qwell.worker.loading import scripted_text


class Bench:
    """Drives an engine and keeps the events of each request."""

    def __init__(
        self, backend: ScriptedBackend, policy: Policy, default_max_tokens: int | None
    ) -> None:
        ticks = count()
        self.backend = backend
        self.engine = Engine(
            backend,
            scripted_text(),
            lambda: float(next(ticks)),
            policy=policy,
            default_max_tokens=default_max_tokens,
        )
        self.events: dict[str, list[Event]] = {}

    def keep(self, events: Events) -> None:
        for request_id, event in events:
            self.events.setdefault(request_id, []).append(event)

    def add(self, request: Request) -> None:
        self.keep(self.engine.add(request))

    def ask(self, name: str, text: str, **values: object) -> None:
        self.add(Request(name, (Message("user", text),), **values))  # type: ignore[arg-type]

    def step(self) -> None:
        self.keep(self.engine.step())

    def run(self) -> None:
        while self.engine.has_work:
            self.step()

    def cancel(self, name: str) -> None:
        self.keep(self.engine.cancel(name))

    def text(self, name: str) -> str:
        return "".join(event.text for event in self.events[name] if isinstance(event, Delta))

    def end(self, name: str) -> Event:
        assert [is_terminal(event) for event in self.events[name]].count(True) == 1
        assert is_terminal(self.events[name][-1])
        return self.events[name][-1]

    def done(self, name: str) -> Done:
        end = self.end(name)
        assert isinstance(end, Done), end
        return end


@pytest.fixture
def bench() -> Callable[..., Bench]:
    def build(
        script: Script | None = None,
        *,
        n_ctx: int = 512,
        n_slots: int = 2,
        policy: Policy | None = None,
        reply: Callable[[str], str] | None = None,
        default_max_tokens: int | None = None,
    ) -> Bench:
        backend = ScriptedBackend(script, n_ctx=n_ctx, n_slots=n_slots, reply=reply)
        policy = policy or Policy(inf, 64, inf, 16)
        return Bench(backend, policy, default_max_tokens)

    return build
