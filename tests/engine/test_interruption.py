"""A step that nobody waits for ends early, at nobody's lasting expense."""

import threading
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Any

import pytest

from qwell.backends import Cancelled
from qwell.backends.scripted import Script
from qwell.engine.interruption import Interruption
from qwell.engine.scheduler import Policy

Build = Callable[..., Any]


class Backend:
    """Counts what reaches it."""

    def __init__(self) -> None:
        self.cancels = 0

    def cancel(self) -> None:
        self.cancels += 1


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def interruption(backend: Backend) -> Interruption:
    return Interruption(backend.cancel)


def test_a_request_alone_in_the_step_interrupts_it(
    interruption: Interruption, backend: Backend
) -> None:
    with interruption.step([("a", 1)]):
        assert interruption.interrupt("a")
    assert backend.cancels == 1


def test_between_steps_there_is_nothing_to_interrupt(
    interruption: Interruption, backend: Backend
) -> None:
    with interruption.step([("a", 100)]):
        pass
    assert not interruption.interrupt("a")
    assert not interruption.interrupt("unknown")
    assert backend.cancels == 0


@pytest.mark.parametrize(("mine", "others", "expected"), [(64, 64, False), (65, 64, True)])
def test_a_step_that_works_mostly_for_others_goes_on(
    interruption: Interruption, mine: int, others: int, expected: bool
) -> None:
    with interruption.step([("mine", mine), ("other", others)]):
        assert interruption.interrupt("mine") is expected


def test_several_rows_of_a_request_count_together(interruption: Interruption) -> None:
    with interruption.step([("mine", 30), ("mine", 30), ("other", 50)]):
        assert interruption.interrupt("mine")


def test_several_requests_may_agree(interruption: Interruption) -> None:
    with interruption.step([("a", 10), ("b", 10), ("c", 10)]):
        assert not interruption.interrupt("a")
        assert interruption.interrupt("b")


def interrupted(interruption: Interruption, *rows: tuple[str, int]) -> bool:
    """A step of which the first request is not wanted."""
    is_ended = False
    with suppress(Cancelled), interruption.step(rows):
        is_ended = interruption.interrupt(rows[0][0])
        if is_ended:
            raise Cancelled
    return is_ended


def test_nobody_is_robbed_of_two_steps_in_a_row(interruption: Interruption) -> None:
    assert interrupted(interruption, ("first", 100), ("patient", 10))
    assert not interrupted(interruption, ("second", 100), ("patient", 10))
    assert interrupted(interruption, ("third", 100), ("patient", 10))


def test_what_costs_nobody_anything_is_always_allowed(interruption: Interruption) -> None:
    assert interrupted(interruption, ("first", 100), ("patient", 10))
    assert interrupted(interruption, ("second", 100))


def test_a_long_step_of_the_engine_ends_and_the_others_are_answered(bench: Build) -> None:
    b = bench(Script(prompt_delay_s=0.2), policy=Policy(inf, 64, inf, 64))
    b.ask("long", "x" * 150)
    b.ask("short", "hi")
    stopped = threading.Event()

    def stop() -> None:
        while not stopped.is_set():
            if b.engine.interrupt("long"):
                stopped.set()

    thread = threading.Thread(target=stop, daemon=True)
    thread.start()
    n_steps = b.engine.n_steps
    b.step()
    assert stopped.is_set()
    assert b.engine.n_steps == n_steps
    thread.join()
    b.cancel("long")
    b.run()
    assert b.done("long").reason == "cancelled"
    assert b.text("short") == "hi"
