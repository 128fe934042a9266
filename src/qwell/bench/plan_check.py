"""Holds the plan against a running server or cluster: rates of one replica, a load, the difference.

    python -m qwell.bench.plan_check --url http://127.0.0.1:8000 --replicas 2 --users 12

The rates are measured on the server itself, then the same users are simulated and let loose on it.
Knows a server by its page's API alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median, quantiles
from typing import Any

import httpx

from qwell.bench.plan import Box, Load, simulate_replicas
from qwell.bench.workload import Workload

AT_ONCE = (2, 4, 8)
ROUNDS = 2  # in which the way from and to the reader is measured
WARM_UP = 0.2  # of the time: answers that begin before do not count
_FILLER = "Tell a long story of the sea and everything that lives in it, and do not end it soon. "


@dataclass(frozen=True, slots=True)
class Answer:
    """As its reader sees it, in seconds of one clock, and what its engine says of it."""

    asked: float
    began: float
    ended: float
    tokens: int
    prompt_tokens: int  # that had to be computed
    prefill_s: float  # in which the engine computed them
    engine_ttft_s: float  # from the engine's side: with its queue, without the way to the reader

    @property
    def ttft_s(self) -> float:
        return self.began - self.asked

    @property
    def tok_s(self) -> float:
        return (self.tokens - 1) / max(self.ended - self.began, 1e-9)

    @property
    def path_s(self) -> float:
        return max(0.0, self.ttft_s - self.engine_ttft_s)

    def tokens_within(self, start: float, end: float) -> float:
        """Those of its tokens that came in a stretch of time."""
        shared = min(self.ended, end) - max(self.began, start)
        return self.tokens * max(0.0, shared) / max(self.ended - self.began, 1e-9)


async def ask(
    client: httpx.AsyncClient,
    name: str,
    turn: str,
    work: Workload,
    speaks: asyncio.Event | None = None,
) -> Answer:
    """A later turn of the conversation of this name; speaks: set once there is text.

    Raises AssertionError when it fails.
    """
    said = [("user", f"I am {name}."), ("assistant", "Hello."), ("user", _question(turn, work))]
    body = {
        "messages": [{"role": role, "content": text} for role, text in said],
        "max_tokens": work.answer_tokens,
    }
    asked, began, last = time.monotonic(), 0.0, dict[str, Any]()
    async with client.stream("POST", "/api/chat", json=body) as response:
        assert response.status_code == 200, await response.aread()
        async for line in response.aiter_lines():
            if line.startswith("data:"):
                last = json.loads(line[5:])
                if last["type"] == "delta" and not began:
                    began = time.monotonic()
                    if speaks:
                        speaks.set()
    assert last["type"] == "done", last
    usage, timings = last["usage"], last["timings"]
    return Answer(
        asked,
        began,
        time.monotonic(),
        usage["completion_tokens"],
        usage["prompt_tokens"] - usage["cached_tokens"],
        timings["prefill_ms"] / 1000,
        timings["ttft_ms"] / 1000,
    )


async def rates(client: httpx.AsyncClient, work: Workload, n_slots: int = 8) -> Box:
    """Of one replica: turns of one conversation go to the same one."""
    alone = [await ask(client, "rates", f"alone {i}", work) for i in range(3)]
    decode = {1: median(answer.tok_s for answer in alone)}
    for n in AT_ONCE:
        answers = await asyncio.gather(
            *(ask(client, "rates", f"{i} of {n}", work) for i in range(n))
        )
        decode[n] = n * median(answer.tok_s for answer in answers)
    prefill = median(answer.prompt_tokens / max(answer.prefill_s, 1e-3) for answer in alone)
    paths = [answer.path_s for _ in range(ROUNDS) for answer in await _in_turn(client, work)]
    return Box(prefill, decode, n_slots, paths)


async def _in_turn(client: httpx.AsyncClient, work: Workload) -> list[Answer]:
    """Each is asked once the one before has begun to speak: while ever more are going on."""
    async with asyncio.TaskGroup() as tasks:
        asking: list[asyncio.Task[Answer]] = []
        for n in range(max(AT_ONCE)):
            speaks = asyncio.Event()
            asking.append(
                tasks.create_task(ask(client, "rates", f"{n} in turn", work, speaks=speaks))
            )
            spoken = asyncio.create_task(speaks.wait())
            await asyncio.wait([spoken, asking[-1]], return_when=asyncio.FIRST_COMPLETED)
            spoken.cancel()
    return [task.result() for task in asking]


def _question(turn: str, work: Workload) -> str:
    """As long as an answer, for an engine that repeats what it is asked."""
    return f"{turn}: {_FILLER * (work.answer_tokens // len(_FILLER) + 1)}"


async def measure(
    client: httpx.AsyncClient, work: Workload, users: int, seconds: float, seed: int = 1
) -> Load:
    """What that many users see. Each keeps its name, and so its replica; the seed names them."""
    rng = random.Random(seed)  # noqa: S311  load that can be repeated
    began = time.monotonic()
    seen: list[Answer] = []

    async def user(number: int) -> None:
        await asyncio.sleep(rng.uniform(0, work.think_s))
        while time.monotonic() - began < seconds:
            seen.append(await ask(client, f"user {seed}.{number}", f"turn {len(seen)}", work))
            await asyncio.sleep(rng.expovariate(1 / work.think_s))

    await asyncio.gather(*(user(number) for number in range(users)))
    return _load(users, seen, began + WARM_UP * seconds, began + seconds)


def _load(users: int, answers: Sequence[Answer], start: float, end: float) -> Load:
    """What was seen of a stretch of time: answers that were asked in it, tokens that came in it."""
    asked = [answer for answer in answers if start <= answer.asked < end]
    return Load(
        users,
        quantiles([answer.ttft_s for answer in asked], n=20)[-1],
        quantiles([answer.tok_s for answer in asked], n=10)[0],
        float("nan"),  # how busy the replicas were is not seen from outside
        sum(answer.tokens_within(start, end) for answer in answers) / (end - start),
    )


def differences(predicted: Load, measured: Load) -> dict[str, tuple[float, float, float]]:
    """Predicted, measured, and how far off the prediction was, as a share of what was measured."""
    return {
        name: (ours, real, ours / real - 1)
        for name in ("tokens_per_s", "tok_s", "ttft_s")
        for ours, real in [(getattr(predicted, name), getattr(measured, name))]
    }


def table(found: dict[str, tuple[float, float, float]]) -> Iterator[str]:
    yield f"{'':<14}{'predicted':>10}{'measured':>10}{'error':>8}"
    for name, (ours, real, error) in found.items():
        yield f"{name:<14}{ours:>10.2f}{real:>10.2f}{error:>+8.0%}"


async def check(
    url: str, work: Workload, *, users: int, replicas: int, seconds: float, seed: int = 1
) -> tuple[Box, dict[str, tuple[float, float, float]]]:
    async with httpx.AsyncClient(base_url=url, timeout=120) as client:
        await ask(client, "rates", "first", work)  # its connection, its beginning in the cache
        box = await rates(client, work)
        turn = await ask(client, "rates", "last", work)
        seen = replace(work, prompt_tokens=turn.prompt_tokens, answer_tokens=turn.tokens)
        measured = await measure(client, seen, users, seconds, seed)
    return box, differences(simulate_replicas(box, seen, users, replicas), measured)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--users", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--answer-tokens", type=int, default=80)
    parser.add_argument("--think-s", type=float, default=4.0)
    given = parser.parse_args()
    work = Workload(answer_tokens=given.answer_tokens, think_s=given.think_s)
    box, found = asyncio.run(
        check(given.url, work, users=given.users, replicas=given.replicas, seconds=given.seconds)
    )
    print(f"one replica: prefill {box.prefill_tok_s:.0f} tok/s, decode", end=" ")
    print(", ".join(f"{n} at once {rate:.0f}" for n, rate in box.decode_tok_s.items()))
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
