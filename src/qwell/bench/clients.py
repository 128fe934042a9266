"""Clients of a running server, one for each transport, all alike to whoever measures.

They know the wire formats of docs/reference/http.md and nothing of the server's inside.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, Protocol

import httpx
from websockets.asyncio.client import ClientConnection, connect

from qwell.server import sse

Event = dict[str, Any]


class Client(Protocol):
    """Follows one answer at a time. Closing a generator drops the connection as a crash would."""

    can_resume: bool

    def ask(self, question: str, **options: Any) -> AsyncGenerator[Event]:
        """The events of an answer; a refusal is one event of type error without a number.

        options: further fields of the body, such as max_tokens.
        """

    def resume(self, stream: str, start: int) -> AsyncGenerator[Event]:
        """Go on with an answer from event number start."""

    async def stop(self, stream: str) -> None:
        """Ask for the end of the answer."""


def http_client(url: str, n: int) -> httpx.AsyncClient:
    """Connections for n clients at once; an answer may take its time."""
    limits = httpx.Limits(max_connections=4 * n, max_keepalive_connections=n)
    return httpx.AsyncClient(
        base_url=url, timeout=httpx.Timeout(30, read=None), limits=limits, trust_env=False
    )


def clients(http: httpx.AsyncClient) -> dict[str, Client]:
    """One of each kind, by name."""
    return {
        "sse": SseClient(http),
        "websocket": SocketClient(http),
        "long-poll": PollClient(http),
        "openai": OpenAiClient(http),
    }


def _body(question: str, options: Mapping[str, Any]) -> Event:
    return {"messages": [{"role": "user", "content": question}], **options}


async def _frames(response: httpx.Response) -> AsyncIterator[str]:
    decoder = sse.Decoder()
    async for piece in response.aiter_bytes():
        for frame in decoder.push(piece):
            yield frame.data


async def _refusal(response: httpx.Response) -> Event:
    """problem+json or OpenAI's error object as an event."""
    body = json.loads(await response.aread())
    error = body.get("error", body)
    code = error.get("code") or body.get("type", "").rpartition("/")[2]
    return {"type": "error", "code": code, "status": response.status_code, "fix": "retry"}


class SseClient:
    can_resume = True

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def ask(self, question: str, **options: Any) -> AsyncGenerator[Event]:
        async with aclosing(
            self._follow("POST", "/api/chat", json=_body(question, options))
        ) as events:
            async for event in events:
                yield event

    async def resume(self, stream: str, start: int) -> AsyncGenerator[Event]:
        path, headers = f"/api/streams/{stream}?from={start}", {"Accept": sse.MEDIA_TYPE}
        async with aclosing(self._follow("GET", path, headers=headers)) as events:
            async for event in events:
                yield event

    async def stop(self, stream: str) -> None:
        (await self._http.delete(f"/api/streams/{stream}")).raise_for_status()

    async def _follow(self, method: str, path: str, **options: Any) -> AsyncGenerator[Event]:
        async with self._http.stream(method, path, **options) as response:
            if response.is_error:
                yield await _refusal(response)
                return
            async for data in _frames(response):
                yield json.loads(data)


class PollClient(SseClient):
    """Long-polling; stopping is the same."""

    async def ask(self, question: str, **options: Any) -> AsyncGenerator[Event]:
        response = await self._http.post("/api/streams", json=_body(question, options))
        if response.is_error:
            yield await _refusal(response)
            return
        async with aclosing(self.resume(response.json()["stream"], 0)) as events:
            async for event in events:
                yield event

    async def resume(self, stream: str, start: int) -> AsyncGenerator[Event]:
        ended = False
        while not ended:
            response = await self._http.get(f"/api/streams/{stream}", params={"from": start})
            page = response.raise_for_status().json()
            for event in page["events"]:
                yield event
            start = page["next"]
            ended = bool(page["events"]) and page["events"][-1]["type"] in ("done", "error")


class SocketClient:
    can_resume = True

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._url = f"ws{str(http.base_url).removeprefix('http').rstrip('/')}/ws/chat"
        self._socket: ClientConnection | None = None

    async def ask(self, question: str, **options: Any) -> AsyncGenerator[Event]:
        async with aclosing(self._follow({"op": "chat", **_body(question, options)})) as events:
            async for event in events:
                yield event

    async def resume(self, stream: str, start: int) -> AsyncGenerator[Event]:
        frame = {"op": "resume", "stream": stream, "from": start}
        async with aclosing(self._follow(frame)) as events:
            async for event in events:
                yield event

    async def stop(self, stream: str) -> None:
        assert self._socket is not None, f"{stream} is not followed here"
        await self._socket.send('{"op": "stop"}')

    async def _follow(self, first: Event) -> AsyncGenerator[Event]:
        socket = self._socket = await connect(self._url, proxy=None, open_timeout=30)
        try:
            await socket.send(json.dumps(first))
            async for text in socket:
                event = json.loads(text)
                if event["type"] in ("ping", "pong"):
                    continue
                yield event
                if event["type"] in ("done", "error"):
                    return
        finally:
            socket.transport.abort()
            self._socket = None


class OpenAiClient:
    """The events that OpenAI's chunks amount to. Who leaves stops the answer; nobody resumes."""

    can_resume = False

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def ask(self, question: str, **options: Any) -> AsyncGenerator[Event]:
        body = {"model": "qwell", "stream": True, **_body(question, options)}
        async with self._http.stream("POST", "/v1/chat/completions", json=body) as response:
            if response.is_error:
                yield await _refusal(response)
                return
            seq = 0
            async for data in _frames(response):
                for event in _from_chunk(data):
                    yield {"seq": seq, **event}
                    seq += 1

    def resume(self, stream: str, start: int) -> AsyncGenerator[Event]:
        raise AssertionError(f"{stream} cannot be resumed at {start}")

    async def stop(self, stream: str) -> None:
        """Leaving is what stops here."""


def _from_chunk(data: str) -> list[Event]:
    if data == "[DONE]":
        return []
    chunk = json.loads(data)
    if error := chunk.get("error"):
        return [{"type": "error", "code": error["code"], "fix": error["message"]}]
    if not chunk["choices"]:
        return []
    choice = chunk["choices"][0]
    events: list[Event] = []
    if text := choice["delta"].get("content"):
        events.append({"type": "delta", "text": text})
    if reason := choice["finish_reason"]:
        events.append({"type": "done", "reason": reason})
    return events
