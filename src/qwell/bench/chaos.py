"""Kills, hangs, stops and dropped connections under load; every promise is checked.

    python -m qwell.bench.chaos --events 200 --seed 1 --report docs/reports/chaos.md

The model is the scripted one, which repeats the question: so each answer shows whether it is
whole, and whose it is. Server and worker are the real ones, on a real port.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from qwell.bench.chaos_report import Facts, Report, to_markdown
from qwell.bench.clients import Client, PollClient, clients, http_client
from qwell.bench.processes import children, usage
from qwell.bench.witness import Witness, watch
from qwell.config import Settings
from qwell.server.app import create_app
from qwell.server.listen import make_server
from qwell.server.port import bind
from qwell.server.streams import Streams
from qwell.worker.supervisor import Patience, Supervisor

KILLS = ("SIGKILL", "SIGSEGV", "SIGILL", "SIGBUS", "SIGSTOP")
DISTURBANCES = ("stop", "drop", "leave")
N_CLIENTS = 12
ANSWER_LIMIT_S = 60.0  # an answer without an end after this time counts as hung
MAX_TRIES = 30  # for one question: each ended by a kill, with the worker restarting in between
SCRIPT = '{"token_delay_s": 0.001}'
# A worker that is frozen for this long is taken for dead. Its own beats come every second.
PATIENCE = Patience(
    tick_s=0.1,
    max_silent_ticks=40,
    first_backoff_s=0.05,
    longest_backoff_s=0.2,
    max_load_crashes=1000,
)


def plan(n_events: int, seed: int) -> list[str]:
    """A quarter kills, the rest stops, drops and leaves, in an order that the seed decides."""
    rng = random.Random(seed)  # noqa: S311  a plan that can be repeated
    n_kills = n_events // 4
    kills = [KILLS[i % len(KILLS)] for i in range(n_kills)]
    others = [DISTURBANCES[i % len(DISTURBANCES)] for i in range(n_events - n_kills)]
    events = kills + others
    rng.shuffle(events)
    return events


@dataclass(slots=True)
class House:
    """A running server and what may be looked at inside it."""

    supervisor: Supervisor
    streams: Streams
    url: str

    @property
    def is_quiet(self) -> bool:
        return self.supervisor.in_flight == 0 and self.streams.n_live == 0


@asynccontextmanager
async def house(data_dir: Path) -> AsyncIterator[House]:
    """Server and worker while the block runs."""
    settings = Settings(
        engine="scripted", parallel=4, data_dir=str(data_dir), log_level="error", log_file_mib=0
    )
    supervisor = Supervisor(settings, {**os.environ, "QWELL_SCRIPT": SCRIPT}, patience=PATIENCE)
    app = create_app(settings, supervisor)
    listener = bind("127.0.0.1", 0)
    server = make_server(app, drain_s=0)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield House(supervisor, app.state.streams, f"http://127.0.0.1:{listener.getsockname()[1]}")
    finally:
        server.should_exit = True
        await running


class Chaos:
    """One run: clients take disturbances from the plan, the executioner takes the kills."""

    def __init__(self, house: House, events: list[str], seed: int) -> None:
        self.report = Report(seed)
        self._house = house
        self._rng = random.Random(seed)  # noqa: S311  the same
        self._kills = [event for event in events if event in KILLS]
        self._disturbances = [event for event in events if event in DISTURBANCES]
        self._http = http_client(house.url, N_CLIENTS)
        self._stored: list[Witness] = []
        self._strangers = {*children(os.getpid())} - {house.supervisor.status.pid}
        self._is_over = asyncio.Event()
        self._group = asyncio.TaskGroup()

    async def run(self) -> Report:
        started = time.monotonic()
        async with self._http:
            async with self._group:
                for number in range(N_CLIENTS):
                    self._group.create_task(self._talk(clients(self._http), number))
                self._group.create_task(self._execute())
            await self._check_rest(clients(self._http))
            await self._check_store()
        self.report.restarts = self._house.supervisor.status.restarts
        self.report.seconds = time.monotonic() - started
        return self.report

    # -- the worker's troubles

    async def _execute(self) -> None:
        """Kill when somebody is being answered; sometimes again while it is loading."""
        while self._kills:
            await self._until(lambda: self._house.supervisor.in_flight > 0)
            await asyncio.sleep(self._rng.uniform(0.02, 1.2))
            if await self._kill(self._kills[-1]):
                self._kills.pop()
        self._is_over.set()

    async def _kill(self, name: str) -> bool:
        """False when there was nobody to kill."""
        supervisor = self._house.supervisor
        pid = supervisor.status.pid
        try:
            os.kill(pid or 0, signal.Signals[name] if pid else 0)
        except ProcessLookupError:
            return False
        if pid is None:
            return False
        killed_at = time.monotonic()
        self.report.done[name] += 1
        await self._until(lambda: supervisor.status.pid != pid)
        if self._rng.random() < 0.8:  # else the next kill may meet it while it loads
            await self._until(lambda: supervisor.status.phase == "ready")
            self.report.recoveries_s.append(time.monotonic() - killed_at)
        return True

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110  states of several objects, seen from outside
            await asyncio.sleep(0.01)

    # -- the clients

    async def _talk(self, mine: Mapping[str, Client], number: int) -> None:
        """Ask until nothing is left to be done; each question is asked until it is answered."""
        n_asked = 0
        while self._disturbances or not self._is_over.is_set():
            name = self._rng.choice(sorted(mine))
            words = " ".join(self._rng.choices(("rain", "wind", "sun", "fog"), k=10))
            question = f"{number}.{n_asked}: {words}"
            n_asked += 1
            fate = self._disturbances.pop() if self._disturbances else "read"
            await self._ask_until_answered(mine[name], name, question, fate)

    async def _ask_until_answered(
        self, client: Client, name: str, question: str, fate: str
    ) -> None:
        """A failed answer is asked for again, as its error says, without further disturbance."""
        self.report.n_questions += 1
        for attempt in range(MAX_TRIES):
            stored = secrets.token_hex(8) if client.can_resume else ""
            witness = Witness(name, question, stored)
            await self._ask(client, witness, fate)
            if fate != "read":
                self.report.done[fate] += 1
            if witness.end is None and client.can_resume:
                self._group.create_task(self._return_later(witness))
                return
            self._judge(witness, may_be_open=fate in DISTURBANCES)
            if witness.outcome in ("stop", "cancelled", "open"):
                return
            self.report.n_retries += 1
            fate = "read"
            await asyncio.sleep(0.05 * attempt)
        self.report.problems.append(f"{name}: {question!r} was never answered")

    async def _ask(self, client: Client, witness: Witness, fate: str) -> None:
        """Until the end of the answer, or until the fate wants to leave it."""
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                place = {"conversation": witness.conversation, "parent": None}
                asking = client.ask(
                    str(witness.expected), **(place if witness.conversation else {})
                )
                async with aclosing(asking) as events:
                    if fate != "read":
                        await watch(witness, events, self._rng.randint(1, 40))
                    if fate == "stop" and witness.end is None:
                        await client.stop(witness.stream)
                    if fate == "read" or (fate == "stop" and client.can_resume):
                        await watch(witness, events)
                if fate == "drop" and client.can_resume and witness.end is None:
                    await _resume(client, witness)
        except TimeoutError:
            self.report.problems.append(f"{witness.transport}: hung, {witness.events[-1:]}")

    async def _return_later(self, witness: Witness) -> None:
        """Who left finds the rest by long-poll, or how the answer ended without its reader."""
        await asyncio.sleep(self._rng.uniform(0.2, 3))
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                await _resume(PollClient(self._http), witness)
        except TimeoutError:
            self.report.problems.append(f"{witness.transport}: left, then hung")
        self._judge(witness)

    async def _check_store(self) -> None:
        """What was shown is stored, whoever died while it was."""
        for witness in self._stored:
            path = f"/api/conversations/{witness.conversation}/messages"
            messages = (await self._http.get(path)).raise_for_status().json()["messages"]
            where = f"store, {witness.transport}, {witness.outcome}"
            lost = witness.problems_of_store(messages)
            self.report.problems += [f"{where}: {problem}" for problem in lost]
        self.report.n_stored = len(self._stored)

    def _judge(self, witness: Witness, *, may_be_open: bool = False) -> None:
        self.report.outcomes[f"{witness.transport}: {witness.outcome}"] += 1
        if witness.conversation and witness.end is not None and not witness.is_refused:
            self._stored.append(witness)
        if may_be_open and witness.end is None:
            return
        where = f"{witness.transport}, {witness.expected!r}"
        self.report.problems += [f"{where}: {problem}" for problem in witness.problems()]

    async def _check_rest(self, mine: Mapping[str, Client]) -> None:
        """When it is over: everything works, and nothing is left behind."""
        for name, client in mine.items():
            await self._ask_until_answered(client, name, f"after all, {name} works", "read")
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                await self._until(lambda: self._house.is_quiet)
        except TimeoutError:
            self.report.problems.append(
                f"{self._house.supervisor.in_flight} requests and {self._house.streams.n_live} "
                "streams are left behind"
            )
        living = [pid for pid in children(os.getpid()) if pid not in self._strangers]
        if living != [self._house.supervisor.status.pid]:
            self.report.problems.append(f"children {living} are left behind")


async def _resume(client: Client, witness: Witness) -> None:
    async with aclosing(client.resume(witness.stream, len(witness.events))) as events:
        await watch(witness, events)


async def run(n_events: int, seed: int, data_dir: Path) -> Report:
    """The whole run, with a server of its own."""
    before = usage(os.getpid()).n_fds
    async with house(data_dir) as running:
        report = await Chaos(running, plan(n_events, seed), seed).run()
    if (after := usage(os.getpid()).n_fds) > before + 2:  # the loop's own, made on first use
        report.problems.append(f"{after} files are open, {before} were before")
    return report


def facts() -> Facts:
    return Facts(
        kills=KILLS,
        disturbances=DISTURBANCES,
        n_clients=N_CLIENTS,
        limit_s=ANSWER_LIMIT_S,
        silence_s=PATIENCE.tick_s * PATIENCE.max_silent_ticks,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="qwell.bench.chaos", description=__doc__)
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as data,
        Path(data, "log").open("w", encoding="utf-8") as log,
        contextlib.redirect_stderr(log),  # last words of the many that are killed
    ):
        report = asyncio.run(run(options.events, options.seed, Path(data)))
    text = to_markdown(report, facts())
    print(text)
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(text, encoding="utf-8")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
