"""What HTTP and the event stream cost a token: a server's answers against the engine's own.

    python -m qwell.bench.overhead --rounds 6

The engine stands alone in a process of its own and its events are thrown away; the server is
started as a person does and read over /api/chat. Both have all threads, and take turns at the same
greedy answer, which must have the same text; whoever's turn it is not sleeps. A rate is that of the
tokens after the first. Answers are short and many: what others do to the machine lasts for seconds,
so it meets both, and the share is the median over rounds of what a token takes more. Where the
engine's threads take every processor, as they do, each moment of the server *and of the client that
reads here* is taken from the engine: the figure holds both. Processor time is told apart, with what
a request costs once divided by its tokens. Needs httpx.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from qwell.bench.load import served
from qwell.bench.processes import cpu_s
from qwell.config import Settings, load
from qwell.core import Delta, Done, Message, Request, Sampling

QUESTION = "Write a very long story about a dragon who lives in a mountain and reads books."
N_TOKENS = 64
ROUNDS = 40
GREEDY = Sampling(temperature=0, repetition_penalty=1)


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer: its text, and seconds from its first piece to its last."""

    text: str
    n_tokens: int
    seconds: float

    @property
    def tok_s(self) -> float:
        return (self.n_tokens - 1) / self.seconds


class Bare:
    """An engine in a process of its own, without anything around it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def answer(self, n_tokens: int) -> Answered:
        self._connection.send(n_tokens)
        answered: Answered = self._connection.recv()
        return answered


@contextmanager
def bare(settings: Settings) -> Iterator[Bare]:
    context = multiprocessing.get_context("spawn")
    near, far = context.Pipe()
    process = context.Process(target=_serve_bare, args=(far, settings))
    process.start()
    far.close()
    try:
        yield Bare(near)
    finally:
        near.close()
        process.join()


def _serve_bare(connection: Connection, settings: Settings) -> None:
    from qwell.worker.loading import load as load_engine

    loaded = load_engine(settings, lambda *_: None)
    gc.collect()
    gc.freeze()  # as in the worker
    try:
        for i in range(sys.maxsize):
            n_tokens: int = connection.recv()
            request = _request(f"bare-{i}", n_tokens)
            connection.send(_stepped(loaded.engine, request))
    except EOFError:
        loaded.close()


def _request(request_id: str, n_tokens: int) -> Request:
    asked = (Message("user", QUESTION),)
    return Request(request_id, asked, max_tokens=n_tokens, sampling=GREEDY)


def _stepped(engine: Any, request: Request) -> Answered:
    engine.add(request)
    pieces: list[str] = []
    began = ended = 0.0
    while True:
        for _, event in engine.step():
            if isinstance(event, Delta):
                pieces.append(event.text)
                ended = time.perf_counter()
                began = began or ended
            if isinstance(event, Done):
                return Answered("".join(pieces), event.usage.completion_tokens, ended - began)


def over_http(url: str, n_tokens: int) -> Answered:
    """Read over a plain socket and understood afterwards: the client takes next to nothing."""
    near = urlsplit(url)
    asked = {
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": n_tokens,
        "sampling": {
            "temperature": GREEDY.temperature,
            "repetition_penalty": GREEDY.repetition_penalty,
        },
    }
    body = json.dumps(asked).encode()
    head = (
        f"POST /api/chat HTTP/1.1\r\nHost: {near.netloc}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    began = ended = 0.0
    said: list[bytes] = []
    with socket.create_connection((near.hostname, near.port or 80)) as connection:
        connection.sendall(head.encode() + body)
        while data := connection.recv(65536):
            said.append(data)
            if b'"delta"' in data:
                ended = time.perf_counter()
                began = began or ended
    return _understood(b"".join(said), ended - began)


def _understood(said: bytes, seconds: float) -> Answered:
    """Raises RuntimeError for anything but an answer that came to its end."""
    lines = (line for line in said.decode().splitlines() if line.startswith("data: {"))
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    if not events or events[-1]["type"] != "done":
        raise RuntimeError(f"no answer: {said[-500:]!r}")
    text = "".join(event["text"] for event in events if event["type"] == "delta")
    return Answered(text, events[-1]["usage"]["completion_tokens"], seconds)


@dataclass(slots=True)
class _Spent:
    """Processor time of the server (without its worker) and of this client."""

    server_s: float = 0.0
    client_s: float = 0.0
    n_tokens: int = 0


async def overhead(
    engine: str, settings: Settings, options: Sequence[str], *, rounds: int, n_tokens: int
) -> dict[str, Any]:
    """Rates, processor time per token, and share: what the server costs, 0.03 is 3 %.

    options: arguments of `qwell serve` that mean the same as the settings. A round is bare,
    served, served, bare, so that the machine's drift does not favour either.
    """
    rates: dict[str, list[float]] = {"bare": [], "served": []}
    texts: set[str] = set()
    spent = _Spent()
    with tempfile.TemporaryDirectory() as data, bare(settings) as alone:
        async with served(engine, Path(data), *options) as (url, pid):
            for i in range(rounds + 1):
                for name in ("bare", "served", "served", "bare"):
                    answered = (
                        alone.answer(n_tokens)
                        if name == "bare"
                        else _watched(url, pid, n_tokens, spent)
                    )
                    texts.add(answered.text)
                    if i:  # the first round is for warming up
                        rates[name].append(answered.tok_s)
    assert len(texts) == 1, f"these should be the same answer: {texts}"
    return _result(rates, spent)


def _watched(url: str, pid: int, n_tokens: int, spent: _Spent) -> Answered:
    before, own_before = cpu_s(pid), time.process_time()
    answered = over_http(url, n_tokens)
    spent.server_s += cpu_s(pid) - before
    spent.client_s += time.process_time() - own_before
    spent.n_tokens += answered.n_tokens
    return answered


def _result(rates: dict[str, list[float]], spent: _Spent) -> dict[str, Any]:
    bare, behind = (_token_times(rates[name]) for name in ("bare", "served"))
    return {
        "bare_tok_s": median(rates["bare"]),
        "served_tok_s": median(rates["served"]),
        "share": median(b / a for a, b in zip(bare, behind, strict=True)) - 1,
        "server_ms": spent.server_s / spent.n_tokens * 1e3,
        "client_ms": spent.client_s / spent.n_tokens * 1e3,
        "samples": rates,
    }


def _token_times(rates: list[float]) -> list[float]:
    """Of each round, whose two answers are added up."""
    return [1 / first + 1 / second for first, second in zip(*[iter(rates)] * 2, strict=True)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="qwell.bench.overhead", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--tokens", type=int, default=N_TOKENS)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        settings, _ = load({"data_dir": data}, environ=os.environ)
        figures = asyncio.run(
            overhead("native", settings, (), rounds=chosen.rounds, n_tokens=chosen.tokens)
        )
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
