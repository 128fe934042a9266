"""A real child dies in every way there is; every request still hears exactly one end."""

import asyncio
import os
import signal

import pytest
from tests.worker.conftest import IMPATIENT, Start, answer, phase, request, text_of

from qwell.config import Settings
from qwell.core import (
    Delta,
    Done,
    Event,
    Failed,
    Loading,
    Message,
    Prefill,
    Queued,
    Request,
    is_terminal,
)
from qwell.worker.supervisor import Patience, Supervisor, _for_child

pytestmark = pytest.mark.anyio
LONG = " ".join(map(str, range(300)))


def only_end(events: list[Event]) -> Event:
    assert [is_terminal(event) for event in events].count(True) == 1
    assert is_terminal(events[-1])
    return events[-1]


async def test_an_answer_comes_back(supervised: Start) -> None:
    async with supervised() as supervisor:
        events = await answer(supervisor, "hello 你好")
        assert text_of(events) == "hello 你好"
        assert isinstance(only_end(events), Done)
        assert supervisor.status.phase == "ready"
        assert supervisor.status.model["name"] == "scripted"
        assert supervisor.in_flight == 0
    assert supervisor.status.phase == "stopped"


async def test_requests_during_loading_wait_for_it(supervised: Start) -> None:
    async with supervised({"load_delay_s": 0.2}) as supervisor:
        events = await answer(supervisor, "early")
        assert isinstance(events[0], Loading)
        assert text_of(events) == "early"


async def test_many_at_once(supervised: Start) -> None:
    async with supervised() as supervisor:
        answers = await asyncio.gather(
            *(answer(supervisor, f"text {i}", str(i)) for i in range(20))
        )
        assert [text_of(events) for events in answers] == [f"text {i}" for i in range(20)]
        assert any(isinstance(event, Queued) for events in answers for event in events)


async def test_a_load_that_fails_says_why_at_once_and_ever_after(supervised: Start) -> None:
    async with supervised({"load_fault": "weights-truncated"}) as supervisor:
        for name in "ab":
            end = only_end(await answer(supervisor, "hi", name))
            assert isinstance(end, Failed)
            assert end.code == "weights-truncated"
        assert supervisor.status.phase == "failed"
        assert supervisor.status.error is not None
        assert supervisor.status.error.fault == "weights-truncated"


async def test_a_failed_load_can_be_tried_again(supervised: Start) -> None:
    async with supervised({"load_fault": "weights-truncated"}) as supervisor:
        await phase(supervisor, "failed")
        supervisor._environ["QWELL_SCRIPT"] = "{}"
        await supervisor.restart()
        assert text_of(await answer(supervisor, "hi")) == "hi"


@pytest.mark.parametrize(
    ("name", "fault"), [("SIGSEGV", "worker-crashed"), ("SIGILL", "cpu-illegal-instruction")]
)
async def test_a_crash_in_mid_answer(supervised: Start, name: str, fault: str) -> None:
    script = {"crash_after": 3, "signal": name, "when": "poison", "token_delay_s": 0.01}
    async with supervised(script) as supervisor:
        bad, bystander = await asyncio.gather(
            answer(supervisor, "poison", "bad"), answer(supervisor, LONG, "good")
        )
        for events in (bad, bystander):
            end = only_end(events)
            assert isinstance(end, Failed)
            assert end.code == fault
        assert text_of(bad) == "poi"
        assert f"Fatal Python error: {'Segmentation' if name == 'SIGSEGV' else 'Illegal'}" in (
            supervisor.status.last_words
        )
        assert text_of(await answer(supervisor, "after", "c")) == "after"
        assert supervisor.status.restarts == 1


async def test_a_crash_while_the_prompt_is_read(supervised: Start) -> None:
    async with supervised({"crash_after": 0, "when": "poison"}) as supervisor:
        events = await answer(supervisor, "poison")
        assert isinstance(only_end(events), Failed)
        assert text_of(events) == ""
        assert text_of(await answer(supervisor, "after", "b")) == "after"


async def test_a_killed_child_is_replaced(supervised: Start) -> None:
    async with supervised() as supervisor:
        await phase(supervisor, "ready")
        first = supervisor.status.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await phase(supervisor, "restarting")
        assert supervisor.status.error is not None
        assert "SIGKILL" in supervisor.status.error.found
        assert text_of(await answer(supervisor, "hello")) == "hello"
        assert supervisor.status.pid != first


async def test_polite_signals_to_the_child_are_the_parents_business(supervised: Start) -> None:
    async with supervised() as supervisor:
        await phase(supervisor, "ready")
        pid = supervisor.status.pid
        assert pid is not None
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGINT)
        assert text_of(await answer(supervisor, "still here")) == "still here"
        assert supervisor.status.pid == pid


async def test_a_hang_is_noticed_and_ended(supervised: Start) -> None:
    script = {"hang_after": 2, "when": "poison"}
    async with supervised(script) as supervisor:
        end = only_end(await answer(supervisor, "poison"))
        assert isinstance(end, Failed)
        assert "did not end" in end.cause
        assert text_of(await answer(supervisor, "after", "b")) == "after"


async def test_a_frozen_child_is_noticed_and_ended(supervised: Start) -> None:
    patience = Patience(tick_s=0.2, max_silent_ticks=10, first_backoff_s=0.05)
    async with supervised(patience=patience) as supervisor:
        await phase(supervisor, "ready")
        pid = supervisor.status.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        end = only_end(await answer(supervisor, "hello"))
        assert isinstance(end, Failed)
        assert "stopped reporting" in end.cause


async def test_a_slow_answer_is_not_taken_for_a_hang(supervised: Start) -> None:
    async with supervised({"token_delay_s": 0.5}) as supervisor:
        assert text_of(await answer(supervisor, "slowly")) == "slowly"
        assert supervisor.status.restarts == 0


async def test_a_load_that_crashes_again_and_again_is_given_up(supervised: Start) -> None:
    async with supervised({"load_crash": "SIGILL"}) as supervisor:
        end = only_end(await answer(supervisor, "hi"))
        assert isinstance(end, Failed)
        assert end.code == "cpu-illegal-instruction"
        assert supervisor.status.phase == "failed"
        assert supervisor.status.restarts == IMPATIENT.max_load_crashes - 1


async def test_cancel_in_decode(supervised: Start) -> None:
    async with supervised({"token_delay_s": 0.02}) as supervisor:
        events: list[Event] = []
        async for event in supervisor.submit(request(LONG)):
            events.append(event)
            if isinstance(event, Delta):
                await supervisor.cancel("a")
        end = only_end(events)
        assert isinstance(end, Done)
        assert end.reason == "cancelled"
        assert end.usage.completion_tokens < len(LONG)


async def test_cancel_in_prefill(supervised: Start) -> None:
    async with supervised({"prompt_delay_s": 0.05}) as supervisor:
        events: list[Event] = []
        async for event in supervisor.submit(request("x" * 3000)):
            events.append(event)
            if isinstance(event, Prefill):
                await supervisor.cancel("a")
        end = only_end(events)
        assert isinstance(end, Done)
        assert end.reason == "cancelled"
        assert text_of(events) == ""


async def test_a_paused_answer_waits_without_work_and_goes_on(supervised: Start) -> None:
    async with supervised({"token_delay_s": 0.01}) as supervisor:
        events: list[Event] = []
        async for event in supervisor.submit(request(LONG)):
            if isinstance(event, Delta) and not events:
                await supervisor.pause("a")
                await answer(supervisor, "another", "b")  # is read after the pause
                await supervisor.changed()  # a beat from after the pause
                steps = supervisor.status.steps
                await supervisor.changed()  # the next beat
                assert supervisor.status.steps == steps
                await supervisor.resume("a")
            if isinstance(event, Delta) or is_terminal(event):
                events.append(event)
        assert isinstance(only_end(events), Done)
        assert text_of(events) == LONG


async def test_cancel_in_queue(supervised: Start) -> None:
    async with supervised({"token_delay_s": 0.02}, parallel=1) as supervisor:
        running = supervisor.submit(request(LONG, "running"))
        while not isinstance(await anext(running), Delta):
            pass
        events: list[Event] = []
        async for event in supervisor.submit(request("waiting", "waiting")):
            events.append(event)
            if isinstance(event, Queued):
                await supervisor.cancel("waiting")
        await running.aclose()
        end = only_end(events)
        assert isinstance(end, Done)
        assert end.reason == "cancelled"


async def test_cancel_while_loading(supervised: Start) -> None:
    async with supervised({"load_delay_s": 60}) as supervisor:
        events: list[Event] = []
        async for event in supervisor.submit(request("hi")):
            events.append(event)
            await supervisor.cancel("a")
        assert only_end(events) == Done("cancelled")


async def test_a_reader_who_leaves_frees_the_slot(supervised: Start) -> None:
    async with supervised({"token_delay_s": 0.02}, parallel=1) as supervisor:
        leaver = supervisor.submit(request(LONG, "leaver"))
        while not isinstance(await anext(leaver), Delta):
            pass
        await leaver.aclose()
        async with asyncio.timeout(10):  # the whole of the other answer would take 20 s
            assert text_of(await answer(supervisor, "next", "next")) == "next"


async def test_a_slow_reader_blocks_nobody_and_loses_nothing(supervised: Start) -> None:
    async with supervised() as supervisor:
        slow = supervisor.submit(request(LONG, "slow"))
        events = [await anext(slow)]
        assert text_of(await answer(supervisor, "quick", "quick")) == "quick"
        for i in range(5):
            await answer(supervisor, "quick", str(i))
        events += [event async for event in slow]
        assert text_of(events) == LONG


async def test_a_full_queue_refuses(supervised: Start) -> None:
    async with supervised({"token_delay_s": 0.02}, parallel=1, max_queue=1) as supervisor:
        await phase(supervisor, "ready")
        readers = [supervisor.submit(request(LONG, str(i))) for i in range(2)]
        for reader in readers:
            await anext(reader)
        end = only_end(await answer(supervisor, "one too many"))
        assert isinstance(end, Failed)
        assert end.code == "request-queueing"
        for reader in readers:
            await reader.aclose()


async def test_stop_lets_a_running_answer_end(supervised: Start) -> None:
    async with supervised({"token_delay_s": 0.01}) as supervisor:
        await phase(supervisor, "ready")
        running = asyncio.create_task(answer(supervisor, "x" * 30))
        await asyncio.sleep(0)
        await supervisor.stop(grace_s=20)
        events = await running
        assert text_of(events) == "x" * 30
        assert isinstance(only_end(events), Done)


async def test_stop_without_grace_cancels(supervised: Start) -> None:
    async with supervised({"token_delay_s": 0.02}) as supervisor:
        running = supervisor.submit(request(LONG))
        while not isinstance(await anext(running), Delta):
            pass
        await supervisor.stop(grace_s=0)
        end = only_end([event async for event in running])
        assert isinstance(end, Done)
        assert end.reason == "cancelled"


@pytest.mark.parametrize("script", [{"load_delay_s": 60}, {"load_crash": "SIGSEGV"}])
async def test_stop_while_loading_does_not_wait(
    supervised: Start, script: dict[str, object]
) -> None:
    patience = Patience(first_backoff_s=60)
    async with supervised(script, patience=patience) as supervisor:
        waiting = asyncio.create_task(answer(supervisor, "hi"))
        await phase(supervisor, "loading" if "load_delay_s" in script else "restarting")
        async with asyncio.timeout(10):
            await supervisor.stop(grace_s=30)
        assert only_end(await waiting) == Done("cancelled")


async def test_stop_ends_a_child_that_hangs(supervised: Start) -> None:
    patience = Patience(shutdown_s=0.5)
    async with supervised({"hang_after": 1}, patience=patience) as supervisor:
        running = supervisor.submit(request("hi"))
        while not isinstance(await anext(running), Delta):
            pass
        async with asyncio.timeout(10):
            await supervisor.stop(grace_s=0)
        end = only_end([event async for event in running])
        assert isinstance(end, Done)
        assert end.reason == "cancelled"


async def test_nothing_is_accepted_after_stop(supervised: Start) -> None:
    async with supervised() as supervisor:
        await supervisor.stop()
        assert isinstance(only_end(await answer(supervisor, "hi")), Failed)


async def test_a_request_too_large_for_the_pipe_fails_alone(supervised: Start) -> None:
    async with supervised() as supervisor:
        await phase(supervisor, "ready")
        huge = Request("huge", (Message("user", "x" * (17 * 2**20)),))
        end = only_end([event async for event in supervisor.submit(huge)])
        assert isinstance(end, Failed)
        assert end.code == "invalid-request-body"
        assert text_of(await answer(supervisor, "small")) == "small"


async def test_a_child_that_cannot_be_started_is_an_error_not_a_wait(
    supervised: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_pipes() -> tuple[int, int]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("qwell.worker.child.os.pipe", no_pipes)
    async with supervised() as supervisor:
        end = only_end(await answer(supervisor, "hi"))
        assert isinstance(end, Failed)
        assert end.code == "fd-limit"


def test_the_child_is_given_no_key() -> None:
    supervisor = Supervisor(Settings(api_key="s3cret"), {"QWELL_API_KEY": "s3cret", "HOME": "/"})
    assert supervisor._environ == {"HOME": "/"}
    assert "s3cret" not in str(_for_child(supervisor._settings))


async def test_starting_twice_is_starting_once(supervised: Start) -> None:
    async with supervised({"load_delay_s": 0.1}) as supervisor:
        await supervisor.spawned()
        first = supervisor.status.pid
        assert first is not None
        await supervisor.start()
        assert text_of(await answer(supervisor, "hi")) == "hi"
        assert supervisor.status.pid == first
        assert supervisor.status.restarts == 0
