"""A real Ray cluster of three nodes over a real PostgreSQL: nodes die, no answer is lost.

Each of two nodes has a front and an engine, so readers lose their connections, too.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import URL
from websockets.asyncio.client import connect

from qwell.bench.plan_check import check, table
from qwell.bench.workload import Workload

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]
TOKEN_S = 0.005  # of each row of a step
LONG = " ".join(f"word{i}" for i in range(40))  # some seconds of an answer


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class Service:
    """The cluster in a process of its own; `order` waits until it is obeyed."""

    def __init__(self, port: int, process: subprocess.Popen[str]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._process = process

    def expect(self, word: str) -> None:
        """Read up to the word: Ray writes among what the program says."""
        assert self._process.stdout is not None
        while (line := self._process.stdout.readline()).strip() != word:
            assert line, "the cluster has ended"

    async def order(self, order: str) -> None:
        assert self._process.stdin is not None
        print(order, file=self._process.stdin, flush=True)
        await asyncio.to_thread(self.expect, "done")


@pytest.fixture(scope="module")
def service(postgres: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {
        **os.environ,
        "QWELL_DATABASE_URL": postgres.render_as_string(hide_password=False),
        "QWELL_DATA_DIR": str(tmp_path_factory.mktemp("cluster")),
        "QWELL_SCRIPT": json.dumps({"token_delay_s": TOKEN_S}),
    }
    command = [sys.executable, str(Path(__file__).with_name("three_nodes.py")), str(port)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
    )
    service = Service(port, process)
    try:
        service.expect("ready")
        _wait_until_ready(service.url)
        yield service
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)
        assert process.stdout is not None
        process.stdout.close()


def _wait_until_ready(url: str) -> None:
    """Engines write on the board once a second."""
    transport = httpx.HTTPTransport(retries=5)
    with httpx.Client(base_url=url, transport=transport, timeout=60) as client:
        with client.stream("POST", "/api/chat", json=question("hi")) as answer:
            answer.read()
        assert client.get("/ready").status_code == 200


def question(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


async def events_of(
    client: httpx.AsyncClient, body: dict[str, Any], speaks: asyncio.Event | None = None
) -> list[dict[str, Any]]:
    """As a page reads: what breaks off is taken up by number. speaks: set once there is text."""
    events: list[dict[str, Any]] = []
    n_breaks = await read(client.stream("POST", "/api/chat", json=body), events, speaks)
    while events[-1]["type"] not in ("done", "error"):
        path = f"/api/streams/{events[0]['stream']}?from={len(events)}"
        accept = {"Accept": "text/event-stream"}
        n_breaks += await read(client.stream("GET", path, headers=accept), events, speaks)
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert [event["type"] in ("done", "error") for event in events].count(True) == 1
    BREAKS[events[0]["stream"]] = n_breaks
    return events


BREAKS: dict[str, int] = {}  # how often a stream's connection broke


async def read(
    answer: AbstractAsyncContextManager[httpx.Response],
    events: list[dict[str, Any]],
    speaks: asyncio.Event | None,
) -> int:
    """Adds to the events; 1 when the connection broke before the end."""
    try:
        async with answer as response:
            if response.status_code >= 500 and events:  # no front has taken over yet
                await asyncio.sleep(0.2)
                return 1
            assert response.status_code == 200, await response.aread()
            async for line in response.aiter_lines():
                events += [json.loads(line[5:])] if line.startswith("data:") else []
                if speaks and events and events[-1]["type"] == "delta":
                    speaks.set()
    except httpx.TransportError:
        assert events, "an answer that had not begun was lost"
        return 1
    return int(events[-1]["type"] not in ("done", "error"))


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(event["text"] for event in events if event["type"] == "delta")


def clients(service: Service) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=service.url, timeout=60)


async def test_the_three_transports_pass_the_proxy(service: Service) -> None:
    async with clients(service) as client:
        assert text_of(await events_of(client, question("over sse"))) == "over sse"
        started = (await client.post("/api/streams", json=question("by polling"))).json()
        events: list[dict[str, Any]] = []
        while not events or events[-1]["type"] != "done":
            path = f"/api/streams/{started['stream']}?from={len(events)}"
            events += (await client.get(path)).json()["events"]
        assert text_of(events) == "by polling"
    async with connect(service.url.replace("http", "ws") + "/ws/chat") as websocket:
        await websocket.send(json.dumps({"op": "chat", **question("as frames")}))
        frames = [json.loads(await websocket.recv())]
        while frames[-1]["type"] != "done":
            frames.append(json.loads(await websocket.recv()))
        assert text_of(frames) == "as frames"


async def test_a_stream_is_not_held_back(service: Service) -> None:
    """Frames sent a tenth of a second apart arrive apart."""
    now = asyncio.get_running_loop().time
    async with clients(service) as client, client.stream("GET", "/api/selftest/stream") as frames:
        arrived = [now() async for line in frames.aiter_lines() if line.startswith("data:")]
    assert arrived[-1] - arrived[0] > 0.05 * (len(arrived) - 1)


async def test_conversations_stay_with_their_engine(
    service: Service, record_property: Callable[[str, object], None]
) -> None:
    """Each later turn finds its beginning in a cache."""
    n_hits = n_turns = 0
    async with clients(service) as client:
        for number in range(8):
            messages = [{"role": "user", "content": f"conversation {number} begins"}]
            for turn in range(3):
                events = await events_of(client, {"messages": messages})
                if turn:
                    n_turns += 1
                    n_hits += events[-1]["usage"]["cached_tokens"] >= 20
                messages.append({"role": "assistant", "content": text_of(events)})
                messages.append({"role": "user", "content": f"turn {turn}"})
    print(f"affinity: {n_hits} of {n_turns} later turns found their prefix")
    record_property("affinity_hit_rate", n_hits / n_turns)
    assert n_hits == n_turns


async def test_the_plan_foretells_what_two_replicas_do(
    service: Service, record_property: Callable[[str, object], None]
) -> None:
    """Rates measured on one replica, users simulated, and the same users let loose on both."""
    work = Workload(answer_tokens=80, think_s=3.0)
    _, found = await check(service.url, work, users=12, replicas=2, seconds=25)
    print("", *table(found), sep="\n")
    for name, (_, _, error) in found.items():
        record_property(f"plan_error_{name}", error)
    assert abs(found["tokens_per_s"][2]) < 0.35
    assert abs(found["tok_s"][2]) < 0.6


async def stored(client: httpx.AsyncClient, conversation: str) -> list[dict[str, Any]]:
    response = await client.get(f"/api/conversations/{conversation}/messages")
    messages: list[dict[str, Any]] = response.json()["messages"]
    return messages


async def everybody_asks(service: Service, name: str, meanwhile: str) -> None:
    """Eight conversations answer meanwhile; all of them are whole, here and in the store."""
    names = [f"{name}-{i}" for i in range(8)]  # an engine has as many slots
    async with clients(service) as client:
        speak = [asyncio.Event() for _ in names]
        async with asyncio.TaskGroup() as tasks:  # one that fails ends the waiting, too
            asking = [
                tasks.create_task(events_of(client, asked(it), speaks))
                for it, speaks in zip(names, speak, strict=True)
            ]
            await asyncio.gather(*(speaks.wait() for speaks in speak))
            assert not any(task.done() for task in asking)
            await service.order(meanwhile)
        for it, task in zip(names, asking, strict=True):
            events = task.result()
            assert events[-1]["type"] == "done", json.dumps(events[-1])
            assert text_of(events) == f"{it} {LONG}"
            kept = (await stored(client, it))[-1]
            assert (kept["state"], kept["content"]) == ("done", f"{it} {LONG}")


def asked(name: str) -> dict[str, Any]:
    return question(f"{name} {LONG}", conversation=name, parent=None)


async def test_a_node_that_dies_under_load_costs_no_answer(service: Service) -> None:
    """Its engine's answers are gone on with; its front's readers find theirs at the other front."""
    for attempt in range(3):  # Ray may have given all of them to the front that lives
        BREAKS.clear()
        await everybody_asks(service, f"kill-{attempt}", "kill")
        await service.order("grow")
        if n_broken := sum(n > 0 for n in BREAKS.values()):
            break
    print(f"{n_broken} of {len(BREAKS)} readers lost their connection and read on elsewhere")
    assert n_broken


async def test_an_answer_is_stopped_from_any_front(service: Service) -> None:
    async with clients(service) as client:
        for number in range(4):  # one of two fronts has it
            body = question(f"stop {number} {LONG}")
            stream = (await client.post("/api/streams", json=body)).json()["stream"]
            path, events = f"/api/streams/{stream}", list[dict[str, Any]]()
            while not events or events[-1]["type"] not in ("done", "error"):
                events += (await client.get(f"{path}?from={len(events)}")).json()["events"]
                if any(event["type"] == "delta" for event in events):
                    assert (await client.delete(path)).status_code == 202
            assert (events[-1]["type"], events[-1].get("reason")) == ("done", "cancelled")


async def test_an_upgrade_under_load_costs_no_answer(service: Service) -> None:
    await everybody_asks(service, "upgrade", "upgrade")
