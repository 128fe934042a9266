"""Busy is not dead."""

from qwell.worker.watchdog import Watchdog


def test_a_child_that_beats_and_steps_is_well() -> None:
    dog = Watchdog(max_silent_ticks=3, max_step_ticks=2)
    for step in range(20):
        dog.beat(step, running=1)
        assert dog.tick() == ""


def test_silence_is_a_hang() -> None:
    dog = Watchdog(max_silent_ticks=3, max_step_ticks=99)
    assert [dog.tick() for _ in range(4)] == ["", "", "", "no-beats"]


def test_a_step_without_end_is_a_hang() -> None:
    dog = Watchdog(max_silent_ticks=3, max_step_ticks=2)
    verdicts = []
    for _ in range(3):
        dog.beat(7, running=1)
        verdicts.append(dog.tick())
    assert verdicts == ["", "", "no-steps"]


def test_idleness_is_no_hang() -> None:
    dog = Watchdog(max_silent_ticks=3, max_step_ticks=2)
    for _ in range(20):
        dog.beat(7, running=0)
        assert dog.tick() == ""


def test_work_that_begins_after_a_long_rest_gets_its_whole_time() -> None:
    dog = Watchdog(max_silent_ticks=3, max_step_ticks=2)
    for _ in range(20):
        dog.beat(7, running=0)
        dog.tick()
    dog.beat(7, running=1)
    assert [dog.tick(), dog.tick()] == ["", ""]
