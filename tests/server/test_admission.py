"""Refusing is explained, and says when trying again makes sense."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwell.core import Done, Timings, Usage
from qwell.errors import QwellError
from qwell.server.admission import MAX_CALLERS, Admission, RateLimit
from qwell.server.caller import Caller

ANYONE = Caller("192.0.2.1")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def refused(admission: Admission, caller: Caller = ANYONE, n_live: int = 0) -> QwellError:
    reason = admission.refusal(caller, n_live, 1)
    assert reason is not None
    return reason


def test_a_minute_holds_so_many_answers_and_refills_evenly() -> None:
    clock = Clock()
    admission = Admission(8, rate_limit=6, clock=clock)
    for _ in range(6):
        admission.admit(ANYONE, 0, 1)
    reason = refused(admission)
    assert reason.fault == "rate-limited"
    assert "at most 6 a minute" in reason.expected
    assert reason.retry_after_s == pytest.approx(10)
    clock.now = 10.01
    admission.admit(ANYONE, 0, 1)
    assert refused(admission).fault == "rate-limited"


@given(st.lists(st.floats(0, 30), min_size=1, max_size=200), st.integers(1, 20))
def test_no_window_lets_more_through_than_burst_and_rate(pauses: list[float], rate: int) -> None:
    clock, taken = Clock(), 0
    limit = RateLimit(rate, clock)
    for pause in pauses:
        clock.now += pause
        if limit.wait_s("a") == 0:
            limit.take("a")
            taken += 1
    assert taken <= rate + clock.now * rate / 60 + 1e-6


def test_callers_are_counted_apart_by_address_and_by_key() -> None:
    admission = Admission(8, rate_limit=1, clock=Clock())
    admission.admit(Caller("192.0.2.1", "k1"), 0, 1)
    assert admission.refusal(Caller("192.0.2.2", "k2"), 0, 1) is None
    assert "key k1" in refused(admission, Caller("192.0.2.2", "k1")).found
    assert "192.0.2.1" in refused(admission, Caller("192.0.2.1", "k2")).found


def test_a_network_of_ipv6_addresses_is_one_caller() -> None:
    admission = Admission(8, rate_limit=1, clock=Clock())
    admission.admit(Caller("2001:db8::1"), 0, 1)
    assert refused(admission, Caller("2001:db8::ffff")).fault == "rate-limited"
    assert admission.refusal(Caller("2001:db8:0:1::1"), 0, 1) is None


def test_callers_that_were_heard_long_ago_are_forgotten() -> None:
    limit = RateLimit(1, Clock())
    for number in range(MAX_CALLERS + 5):
        limit.take(str(number))
    assert len(limit._buckets) == MAX_CALLERS


def test_a_full_queue_names_the_measured_time() -> None:
    admission = Admission(2)
    assert admission.refusal(ANYONE, 2, 1) is None
    assert refused(admission, n_live=3).retry_after_s == 5  # nothing measured yet
    admission.note(40.0)
    reason = refused(admission, n_live=3)
    assert reason.fault == "request-queueing"
    assert reason.found == "2 answers are waiting and 1 run"
    assert reason.retry_after_s == 40
    assert "--max-queue" in reason.fix


def test_two_slots_halve_the_expected_wait() -> None:
    admission = Admission(2)
    admission.note(40.0)
    assert admission.wait_s(3, 2) == 60


@pytest.mark.anyio
async def test_refusals_carry_their_status_and_retry_after(
    make_app: Any, client_of: Any, worker: Any, question: Any
) -> None:
    worker.script = (worker.PAUSE, Done("stop"))
    client = client_of(make_app(max_queue=0))
    asking = asyncio.create_task(client.post("/api/chat", json=question))
    await worker.paused.wait()
    own, theirs = await client.post("/api/chat", json=question), await _openai(client, question)
    worker.go()
    await asking
    assert (own.status_code, own.headers["retry-after"]) == (503, "5")
    assert own.json()["type"] == "/faults/request-queueing"
    assert (theirs.status_code, theirs.headers["retry-after"]) == (503, "5")


@pytest.mark.anyio
async def test_the_rate_holds_for_every_api_together(
    make_app: Any, client_of: Any, question: Any
) -> None:
    client = client_of(make_app(rate_limit=1))
    assert (await client.post("/api/chat", json=question)).status_code == 200
    response = await _openai(client, question)
    assert response.status_code == 429
    assert response.json()["error"]["code"] == "rate_limit_exceeded"
    assert 1 <= int(response.headers["retry-after"]) <= 60
    assert (await client.get("/health")).status_code == 200
    metrics = (await client.get("/metrics")).text
    assert 'qwell_refusals_total{fault="rate-limited"} 1' in metrics


@pytest.mark.anyio
async def test_a_waiting_answer_is_told_its_place_and_time_at_once(
    make_app: Any, client_of: Any, worker: Any, question: Any
) -> None:
    client = client_of(make_app())
    worker.script = (Done("stop", Usage(1, 0, 1), Timings()),)
    await client.post("/api/chat", json=question)  # something is measured now
    worker.script = (worker.PAUSE, Done("stop"))
    started = [(await client.post("/api/streams", json=question)).json() for _ in "ab"]
    follow = await client.get(f"/api/streams/{started[1]['stream']}")
    worker.go()
    first = follow.json()["events"][0]
    assert (first["type"], first["position"]) == ("queued", 1)
    assert first["wait_s"] >= 0


@pytest.mark.anyio
async def test_an_answer_that_takes_too_long_fails_and_is_cancelled(
    make_app: Any, client_of: Any, worker: Any, question: Any
) -> None:
    worker.script = (worker.PAUSE,)
    app = make_app(request_timeout_s=1)
    response = await client_of(app).post("/api/chat", json=question)
    assert '"code": "answer-timeout"' in response.text
    assert "--request-timeout-s" in response.text
    (request,) = worker.requests
    await asyncio.wait_for(worker.cancelled[request.id].wait(), 5)


async def _openai(client: httpx.AsyncClient, question: dict[str, Any]) -> httpx.Response:
    return await client.post("/v1/chat/completions", json=question | {"model": "tiny-qwen"})
