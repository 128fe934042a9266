"""One log, many readers, exactly one end."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from qwell.core import Delta, Done, Failed, Message, Request, is_terminal
from qwell.errors import QwellError
from qwell.server.admission import Admission
from qwell.server.streams import Bounds, Stream, Streams

pytestmark = pytest.mark.anyio


def request(name: str = "r1") -> Request:
    return Request(name, (Message("user", "hi"),))


async def texts(stream: Stream, start: int = 0) -> list[str]:
    return [entry.json async for entry in stream.read(start)]


async def test_the_first_event_names_the_stream_and_the_last_is_terminal(worker: Any) -> None:
    stream = Streams(worker, Bounds(), Admission(8)).open(request(), grace_s=0)
    events = [json.loads(text) for text in await texts(stream)]
    assert events[0]["type"] == "queued"
    assert events[0]["stream"] == stream.id
    assert events[0]["request_id"] == "r1"
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert events[-1]["type"] == "done"


async def test_readers_from_any_offset_see_the_same_tail(worker: Any) -> None:
    stream = Streams(worker, Bounds(), Admission(8)).open(request(), grace_s=0)
    whole, tail = await asyncio.gather(texts(stream), texts(stream, 2))
    assert tail == whole[2:]
    assert await texts(stream, 3) == whole[3:]
    assert await texts(stream, 99) == []


async def test_a_worker_that_breaks_off_ends_the_log_with_an_error(worker: Any) -> None:
    worker.script = (Delta("half"),)
    stream = Streams(worker, Bounds(), Admission(8)).open(request(), grace_s=0)
    events = [entry.event async for entry in stream.read()]
    assert [is_terminal(event) for event in events] == [False, False, True]
    assert isinstance(events[-1], Failed)
    assert events[-1].request_id == "r1"
    assert events[-1].title
    assert events[-1].retry_after_s == 2  # a worker is replaced in about that time


async def test_a_worker_that_raises_ends_the_log_with_an_error(
    worker: Any, caplog: pytest.LogCaptureFixture
) -> None:
    worker.script = iter(lambda: 1 / 0, None)
    stream = Streams(worker, Bounds(), Admission(8)).open(request(), grace_s=0)
    *_, last = [entry.event async for entry in stream.read()]
    assert isinstance(last, Failed)
    assert "ZeroDivisionError" in caplog.text


async def test_nothing_follows_the_terminal_event(worker: Any) -> None:
    worker.script = (Done("stop"), Delta("late"), Done("length"))
    stream = Streams(worker, Bounds(), Admission(8)).open(request(), grace_s=0)
    assert len(await texts(stream)) == 2
    await stream.producer
    assert len(stream.entries) == 2


async def test_an_unread_answer_costs_nothing_until_its_reader_comes_back(worker: Any) -> None:
    worker.script = (Delta("a"), worker.PAUSE, Delta("b"), Done("stop"))
    stream = Streams(worker, Bounds(), Admission(8)).open(request(), grace_s=60)
    with stream.attached():
        await worker.paused.wait()
    assert await asyncio.wait_for(worker.told.get(), 5) == ("pause", "r1")
    with stream.attached():
        assert await asyncio.wait_for(worker.told.get(), 5) == ("resume", "r1")
        worker.go()
        assert len(await texts(stream)) == 4


async def test_a_reader_between_two_polls_is_not_missed(worker: Any) -> None:
    worker.script = (worker.PAUSE, Done("stop"))
    stream = Streams(worker, Bounds(), Admission(8)).open(request(), grace_s=60)
    for _ in range(3):
        with stream.attached():
            await worker.paused.wait()
    with stream.attached():
        worker.go()
        await stream.producer
    assert worker.told.empty()


async def test_an_unread_answer_is_cancelled_after_the_grace(worker: Any) -> None:
    worker.script = (Delta("a"), worker.PAUSE)
    stream = Streams(worker, Bounds(), Admission(8)).open(request(), grace_s=0)
    with stream.attached():
        await worker.paused.wait()
    await asyncio.wait_for(stream.producer, 5)
    assert stream.entries[-1].event == Done("cancelled", stream.entries[-1].event.usage)  # type: ignore[union-attr]  # a Done


async def test_a_reader_that_comes_back_keeps_the_answer_alive(worker: Any) -> None:
    worker.script = (worker.PAUSE, Done("stop"))
    stream = Streams(worker, Bounds(), Admission(8)).open(request(), grace_s=0.05)
    with stream.attached():
        await worker.paused.wait()
    with stream.attached():
        await asyncio.sleep(0.1)  # longer than the grace: the first departure must not count
        worker.go()
        assert [entry.event async for entry in stream.read()][-1] == Done("stop")


async def test_waiting_for_events_ends_without_one(worker: Any) -> None:
    worker.script = (worker.PAUSE,)
    stream = Streams(worker, Bounds(), Admission(8)).open(request(), grace_s=0)
    assert len(await stream.wait(0, 5)) == 1
    assert await stream.wait(1, 0.01) == []
    await stream.finish(1)


async def test_too_many_live_answers_are_refused_with_a_reason(worker: Any) -> None:
    worker.script = (worker.PAUSE,)
    streams = Streams(worker, Bounds(), Admission(max_queue=0))
    first = streams.open(request(), grace_s=0)
    with pytest.raises(QwellError) as refused:
        streams.open(request("r2"), grace_s=0)
    assert refused.value.fault == "request-queueing"
    await first.finish(1)
    await streams.open(request("r3"), grace_s=0).finish(1)


@pytest.mark.parametrize("bounds", [Bounds(ended=1), Bounds(bytes=0), Bounds(keep_s=-1)])
async def test_old_logs_make_room(worker: Any, bounds: Bounds) -> None:
    streams = Streams(worker, bounds, Admission(8))
    first = streams.open(request(), grace_s=0)
    await first.producer
    second = streams.open(request("r2"), grace_s=0)
    await second.producer
    assert streams.get(first.id) is None


async def test_closing_ends_every_log_even_of_a_deaf_worker(
    worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ignore(_: str) -> None:
        return None

    worker.script = (worker.PAUSE,)
    monkeypatch.setattr(worker, "cancel", ignore)
    streams = Streams(worker, Bounds(), Admission(8))
    stream = streams.open(request(), grace_s=0)
    await worker.paused.wait()
    await streams.close(grace_s=0)
    assert stream.ended


async def test_the_log_line_of_an_answer_has_tokens_and_times_but_no_text(
    worker: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "qwell.server")
    stream = Streams(worker, Bounds(), Admission(8)).open(request(), grace_s=0)
    await stream.producer
    (record,) = [r for r in caplog.records if r.message == "answer"]
    facts = vars(record)
    assert facts["reason"] == "stop"
    assert facts["prompt_tokens"] == 7
    assert facts["ttft_ms"] == 3.0
    assert "你好" not in str(facts)
