"""/ws/chat over a real socket: chat, stop, resume, refusals, heartbeat."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from qwell.core import Delta, Done

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def socket_to(url: str, **options: Any) -> AsyncIterator[ClientConnection]:
    address = url.replace("http://", "ws://") + "/ws/chat"
    async with connect(address, proxy=None, **options) as socket:
        yield socket


async def send(socket: ClientConnection, **frame: Any) -> None:
    await socket.send(json.dumps(frame))


async def receive(socket: ClientConnection) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(await socket.recv())
    return event


async def receive_all(socket: ClientConnection) -> list[dict[str, Any]]:
    events = [await receive(socket)]
    while events[-1]["type"] not in ("done", "error"):
        events.append(await receive(socket))
    return events


async def test_several_answers_on_one_connection(make_app: Any, served: Any, question: Any) -> None:
    async with served(make_app()) as url, socket_to(url) as socket:
        ids = set()
        for _ in range(2):
            await send(socket, op="chat", **question)
            events = await receive_all(socket)
            ids.add(events[0]["request_id"])
            assert "".join(event.get("text", "") for event in events) == "你好, world"
    assert len(ids) == 2


async def test_stop_ends_the_answer_and_the_next_can_follow(
    make_app: Any, served: Any, worker: Any, question: Any
) -> None:
    worker.script = (Delta("one "), worker.PAUSE)
    async with served(make_app()) as url, socket_to(url) as socket:
        for _ in range(2):
            await send(socket, op="chat", **question)
            while (await receive(socket))["type"] != "delta":
                continue
            await send(socket, op="stop")
            assert (await receive_all(socket))[-1]["reason"] == "cancelled"


async def test_a_lost_connection_is_resumed_on_a_new_one(
    make_app: Any, served: Any, worker: Any, question: Any
) -> None:
    worker.script = (Delta("one "), worker.PAUSE, Delta("two"), Done("stop"))
    async with served(make_app()) as url:
        async with socket_to(url) as socket:
            await send(socket, op="chat", **question)
            first = await receive(socket)
            await worker.paused.wait()
        worker.go()
        async with socket_to(url) as socket:
            await send(socket, op="resume", stream=first["stream"], **{"from": 1})
            events = await receive_all(socket)
    assert [event.get("text") for event in events] == ["one ", "two", None]


async def test_a_second_chat_meanwhile_is_refused_and_the_first_goes_on(
    make_app: Any, served: Any, worker: Any, question: Any
) -> None:
    worker.script = (worker.PAUSE, Done("stop"))
    async with served(make_app()) as url, socket_to(url) as socket:
        await send(socket, op="chat", **question)
        await receive(socket)
        await send(socket, op="chat", **question)
        assert "while an answer is running" in (await receive(socket))["cause"]
        worker.go()
        assert (await receive(socket))["type"] == "done"


@pytest.mark.parametrize(
    "frame", ["", "{", "[]", '{"op": "dance"}', '{"op": "chat"}', b"\xff\xfe", '{"op":"resume"}']
)
async def test_a_bad_frame_is_answered_and_the_connection_stays(
    make_app: Any, served: Any, frame: str | bytes
) -> None:
    async with served(make_app()) as url, socket_to(url) as socket:
        await socket.send(frame)
        event = await receive(socket)
        assert event["type"] == "error"
        assert event["code"] == "invalid-request-body"
        await send(socket, op="ping")
        assert await receive(socket) == {"type": "pong"}


async def test_an_unknown_stream_is_an_error_event(make_app: Any, served: Any) -> None:
    async with served(make_app()) as url, socket_to(url) as socket:
        await send(socket, op="resume", stream="gone")
        assert (await receive(socket))["code"] == "stream-unknown"


async def test_a_refusal_says_when_to_come_back(make_app: Any, served: Any, question: Any) -> None:
    async with served(make_app(rate_limit=1)) as url, socket_to(url) as socket:
        for _ in range(2):
            await send(socket, op="chat", **question)
            *_, last = await receive_all(socket)
    assert last["code"] == "rate-limited"
    assert 0 < last["retry_after_s"] <= 60


async def test_silence_is_filled_with_pings(
    make_app: Any, served: Any, worker: Any, question: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qwell.server.event_stream.sse.PING_EVERY_S", 0.01)
    worker.script = (worker.PAUSE,)
    async with served(make_app()) as url, socket_to(url) as socket:
        await send(socket, op="chat", **question)
        await receive(socket)
        assert await receive(socket) == {"type": "ping"}


async def test_a_page_of_another_origin_gets_no_socket(make_app: Any, served: Any) -> None:
    async with served(make_app()) as url:
        with pytest.raises(InvalidStatus) as refused:
            async with socket_to(url, origin="http://evil.example"):
                raise AssertionError("accepted")
    assert refused.value.response.status_code == 403
    assert b"--cors-origin http://evil.example" in (refused.value.response.body or b"")


async def test_a_socket_needs_the_key_when_there_is_one(make_app: Any, served: Any) -> None:
    async with served(make_app(api_key="s3cret")) as url:
        with pytest.raises(InvalidStatus) as refused:
            async with socket_to(url):
                raise AssertionError("accepted")
        assert refused.value.response.status_code == 401
        key = {"Authorization": "Bearer s3cret"}
        async with socket_to(url, additional_headers=key) as socket:
            await send(socket, op="ping")
            assert await receive(socket) == {"type": "pong"}


async def test_the_own_page_gets_a_socket(make_app: Any, served: Any) -> None:
    async with served(make_app()) as url, socket_to(url, origin=url) as socket:
        await send(socket, op="ping")
        assert await receive(socket) == {"type": "pong"}


async def test_a_stopping_server_ends_answers_before_it_closes_sockets(
    make_app: Any, served: Any, worker: Any, question: Any
) -> None:
    worker.script = (Delta("one "), worker.PAUSE)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(served(make_app()))
        socket = await connect(url.replace("http://", "ws://") + "/ws/chat", proxy=None)
        await send(socket, op="chat", **question)
        await worker.paused.wait()
    assert (await receive_all(socket))[-1]["reason"] == "cancelled"
    await socket.wait_closed()
    assert worker.stopped
