"""What people notice of a real server: start, pauses, later turns, memory, rest after a stop.

The server is started as a person does and looked at from outside: over HTTP and in /proc. Knows
nothing of kernels. Needs httpx.
"""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from qwell.bench.clients import http_client
from qwell.bench.load import launched, served
from qwell.bench.processes import children, cpu_s, usage
from qwell.server import sse

WORDS = ("rain", "wind", "sun", "fog", "snow", "sea", "tree", "bird", "stone", "light")
STORY = "Write a very long story about a dragon who lives in a mountain and reads books."
LONG = 3860  # words, a token each, of a prompt that leaves room for template and answer
ROOM = 200  # tokens of the answer to it
TURNS, CONVERSATIONS = 10, 3
ANSWER, TURN_ANSWER = 400, 16  # tokens
_BEFORE = 10  # pieces of an answer before something else happens
_LOOK_S, _CALM_S, _IDLE_SHARE = 0.01, 0.3, 0.25  # a processor used less than that is idle

Message = dict[str, str]


class Visitor:
    """Asks one server, and looks at its worker. long: words of a long prompt."""

    def __init__(self, http: httpx.AsyncClient, server_pid: int, *, long: int = LONG) -> None:
        self._http = http
        [self.worker] = children(server_pid)
        self._long = long
        self._rng = random.Random(1)  # noqa: S311  prompts that can be repeated

    def words(self, n: int) -> str:
        """Unlike those before, so that nothing of them is remembered."""
        return " ".join(self._rng.choices(WORDS, k=n))

    def pieces(self, messages: Sequence[Message], n: int) -> AsyncGenerator[float]:
        """When pieces of an answer of the server arrived."""
        return _pieces(self._http, messages, n)

    async def first_s(self, messages: Sequence[Message], n: int) -> float:
        """Seconds to the first piece; the answer is read to its end."""
        began = time.perf_counter()
        arrivals = [at async for at in self.pieces(messages, n)]
        return arrivals[0] - began

    async def pause(self) -> dict[str, float]:
        """Milliseconds between pieces of an answer: the longest while a long prompt is read."""
        arrivals: list[float] = []
        reading: asyncio.Task[float] | None = None
        began = ended = 0.0
        async with aclosing(self.pieces([_user(STORY)], ANSWER)) as story:
            async for at in story:
                arrivals.append(at)
                if len(arrivals) == _BEFORE:
                    began = time.perf_counter()
                    reading = asyncio.create_task(self.first_s([_user(self.words(self._long))], 1))
                elif reading is not None and reading.done():
                    ended = time.perf_counter()
                    break
        assert reading is not None, "the answer was over before anything could disturb it"
        await reading
        gaps = [(b, (b - a) * 1e3) for a, b in pairwise(arrivals)]
        disturbed = [gap for at, gap in gaps if began <= at <= (ended or at)]
        alone = [gap for at, gap in gaps if at < began]
        return {"longest_ms": max(disturbed), "alone_ms": median(alone)}

    async def turns(self) -> dict[str, float]:
        """Milliseconds to the first piece in the first and the last turn of a conversation."""
        times: list[list[float]] = [[] for _ in range(TURNS)]
        for _ in range(CONVERSATIONS):
            messages: list[Message] = []
            for turn in times:
                messages.append(_user(self.words(30)))
                turn.append(await self.first_s(messages, TURN_ANSWER) * 1e3)
                messages.append({"role": "assistant", "content": "rain and wind and snow"})
        return {"first_ms": median(times[0]), "last_ms": median(times[-1])}

    async def rest_ms(self, prompt: str, wait_for: int) -> float:
        """Milliseconds of work after a reader left: after so many pieces, or soon if 0."""
        async with aclosing(self.pieces([_user(prompt)], ANSWER)) as stream:
            for _ in range(wait_for):
                await anext(stream)
            left = time.perf_counter()
            if wait_for == 0:
                reading = asyncio.ensure_future(anext(stream))
                await asyncio.sleep(_CALM_S)
                left = time.perf_counter()
                reading.cancel()
                await asyncio.wait([reading])
                assert reading.cancelled(), f"nothing to leave: {reading}"
        return await self._calm_since(left) * 1e3

    async def _calm_since(self, left: float) -> float:
        """Seconds from then until the worker begins to do nothing for _CALM_S."""
        last_busy = left
        spent = cpu_s(self.worker)
        while (now := time.perf_counter()) - last_busy < _CALM_S:
            await asyncio.sleep(_LOOK_S)
            spent_before, spent = spent, cpu_s(self.worker)
            if spent - spent_before > _LOOK_S * _IDLE_SHARE:
                last_busy = now
        return last_busy - left

    async def memory_mb(self) -> float:
        """Resident memory of the worker (10^6 bytes) after a conversation of 4,096 tokens."""
        async for _ in self.pieces([_user(self.words(self._long))], ROOM):
            pass
        return usage(self.worker).rss_mib * 2**20 / 1e6


async def _pieces(
    http: httpx.AsyncClient, messages: Sequence[Message], n: int
) -> AsyncGenerator[float]:
    """When pieces of a greedy answer of at most n tokens arrived; what comes at once is one."""
    body = {"model": "qwell", "messages": list(messages), "stream": True}
    body |= {"max_tokens": n, "temperature": 0}
    async with http.stream("POST", "/v1/chat/completions", json=body) as response:
        if response.is_error:
            raise RuntimeError((await response.aread()).decode())
        decoder = sse.Decoder()
        async for data in response.aiter_bytes():
            if any(_text(frame.data) for frame in decoder.push(data)):
                yield time.perf_counter()


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _text(data: str) -> str:
    if data == "[DONE]":
        return ""
    choices: list[dict[str, Any]] = json.loads(data).get("choices") or [{}]
    return choices[0].get("delta", {}).get("content") or ""


async def start_to_first_token_s(engine: str, options: Sequence[str]) -> float:
    """Seconds from the command to the first piece of an answer that is asked for at once.

    Who connects before there is anybody to listen tries again; who connects before the model is
    loaded waits for it.
    """
    with tempfile.TemporaryDirectory() as data:
        began = time.perf_counter()
        async with (
            launched(engine, Path(data), *options) as (url, process),
            http_client(url, 1) as http,
        ):
            while process.returncode is None:
                try:
                    async with aclosing(_pieces(http, [_user("Hello!")], 8)) as greeting:
                        return await anext(greeting) - began
                except httpx.ConnectError:
                    await asyncio.sleep(_LOOK_S)
    raise RuntimeError(f"the server ended with code {process.returncode}")


async def serving(engine: str, options: Sequence[str], *, long: int = LONG) -> dict[str, Any]:
    """Everything of this module. options: further arguments of `qwell serve`.

    Memory comes first, with nothing but that conversation read.
    """
    start_s = await start_to_first_token_s(engine, options)
    with tempfile.TemporaryDirectory() as data:
        async with served(engine, Path(data), *options) as (url, pid), http_client(url, 2) as http:
            visitor = Visitor(http, pid, long=long)
            return {
                "start_to_first_token_s": start_s,
                "rss_mb": await visitor.memory_mb(),
                "pause": await visitor.pause(),
                "turns": await visitor.turns(),
                "rest_ms": {
                    "answering": await visitor.rest_ms(STORY, _BEFORE),
                    "reading": await visitor.rest_ms(visitor.words(long // 2), 0),
                },
            }
