"""Many clients at once for a long time: what the server takes, and whether it gives it back.

    python -m qwell.bench.load --engine scripted --engine native --seconds 600

Starts the server as a person does, in a process of its own, and looks at it from outside: by
/proc and /metrics. A client reads its answer, stops it, drops the connection and resumes, or
leaves for good.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path

import httpx

from qwell.bench.clients import Client, clients, http_client
from qwell.bench.load_report import Run, Sample, to_markdown
from qwell.bench.processes import children, cpu_times, usage
from qwell.bench.witness import Witness, watch

N_CLIENTS = 64
SAMPLE_EVERY_S = 2.0
START_LIMIT_S = 120.0
ANSWER_LIMIT_S = 300.0
QUIET_LIMIT_S = 30.0  # the longest grace for a reader that does not come back is 10 s
FATES = (*["read"] * 16, "stop", "stop", "drop", "leave")
SCRIPT = '{"token_delay_s": 0.0005}'
WORDS = ("rain", "wind", "sun", "fog", "snow", "雨", "风", "日", "雾", "雪")


class Soak:
    """One run against one server."""

    def __init__(self, engine: str, url: str, server_pid: int, seed: int) -> None:
        self.run = Run(engine, N_CLIENTS)
        self._http = http_client(url, N_CLIENTS)
        self._pid = server_pid
        self._rng = random.Random(seed)  # noqa: S311  load that can be repeated
        self._over_at = 0.0
        self._started = 0.0

    async def go(self, seconds: float) -> Run:
        async with self._http:
            await self._warm_up()
            self.run.before = await self._sample()
            lags = await self._lags()
            waited = cpu_times(self._pid)
            self._started = time.monotonic()
            self._over_at = self._started + seconds
            sampling = asyncio.create_task(self._keep_sampling())
            async with asyncio.TaskGroup() as group:
                for number in range(N_CLIENTS):
                    group.create_task(self._talk(clients(self._http), number))
            self.run.seconds = time.monotonic() - self._started
            sampling.cancel()
            self.run.lags = await self._lags() - lags
            self.run.loop_cpu = cpu_times(self._pid) - waited
        await self._settle()
        return self.run

    async def _warm_up(self) -> None:
        """One answer over each transport, and the store, so that what is opened on first use is."""
        for name, client in clients(self._http).items():
            witness = Witness(name, None)
            async with asyncio.timeout(START_LIMIT_S):
                await self._read(client, witness)
        (await self._http.get("/api/conversations", timeout=START_LIMIT_S)).raise_for_status()

    # -- clients

    async def _talk(self, mine: Mapping[str, Client], number: int) -> None:
        n_asked = 0
        names = sorted(mine)
        while time.monotonic() < self._over_at:
            name = names[(number + n_asked) % len(names)]
            words = " ".join(self._rng.choices(WORDS, k=self._rng.randint(3, 40)))
            question = f"{number}.{n_asked}: {words}"
            n_asked += 1
            expected = question if self.run.engine == "scripted" else None
            await self._ask(mine[name], Witness(name, expected), question)

    async def _ask(self, client: Client, witness: Witness, question: str) -> None:
        fate = self._rng.choice(FATES)
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                await self._live(client, witness, question, fate)
        except TimeoutError:
            self.run.problems.append(f"{witness.transport}: no end after {ANSWER_LIMIT_S:.0f} s")
            return
        self.run.outcomes[witness.outcome] += 1
        if witness.is_refused:
            await asyncio.sleep(1)  # it is full; who comes back at once is refused again
        self.run.n_chars += len(witness.text)
        if witness.end is not None or (fate == "read"):
            self.run.problems += witness.problems()

    async def _live(self, client: Client, witness: Witness, question: str, fate: str) -> None:
        options = {} if self.run.engine == "scripted" else {"max_tokens": 32}
        async with aclosing(client.ask(question, **options)) as events:
            if fate != "read":
                await watch(witness, events, self._rng.randint(1, 20))
            if fate == "stop" and witness.end is None:
                await client.stop(witness.stream)
            if fate == "read" or (fate == "stop" and client.can_resume):
                await watch(witness, events)
        if fate == "drop" and client.can_resume and witness.end is None:
            async with aclosing(client.resume(witness.stream, len(witness.events))) as events:
                await watch(witness, events)

    async def _read(self, client: Client, witness: Witness) -> None:
        async with aclosing(client.ask("hello", max_tokens=8)) as events:
            await watch(witness, events)

    # -- what is looked at

    async def _keep_sampling(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_EVERY_S)
            self.run.samples.append(await self._sample())

    async def _sample(self) -> Sample:
        metrics = await self._metrics()
        worker = max(children(self._pid), key=lambda pid: usage(pid).rss_mib)
        return Sample(
            at_s=time.monotonic() - self._started,
            server=usage(self._pid),
            worker=usage(worker),
            n_tasks=int(metrics["qwell_server_tasks"]),
            n_live=int(metrics["qwell_answers_live"]),
            n_running=int(metrics["qwell_worker_running"]),
        )

    async def _settle(self) -> None:
        """Wait until nothing is live, then look a last time, over a connection of its own."""
        async with http_client(str(self._http.base_url), 1) as self._http:
            give_up_at = time.monotonic() + QUIET_LIMIT_S
            while time.monotonic() < give_up_at:
                self.run.after = await self._sample()
                if self.run.after.n_live == self.run.after.n_running == 0:
                    return
                await asyncio.sleep(1)

    async def _metrics(self) -> dict[str, float]:
        text = (await self._http.get("/metrics")).raise_for_status().text
        rows = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in rows}

    async def _lags(self) -> Counter[float]:
        """Cumulated counts of the loop's lag, by upper bound in seconds."""
        head = 'qwell_loop_lag_seconds_bucket{le="'
        metrics = await self._metrics()
        return Counter(
            {
                float(name.removeprefix(head).rstrip('"}')): int(value)
                for name, value in metrics.items()
                if name.startswith(head)
            }
        )


@asynccontextmanager
async def launched(
    engine: str, data_dir: Path, *options: str
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """`qwell serve` in a process of its own, on its way: the address it will have, and the process.

    options: further arguments.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = (sys.executable, "-m", "qwell", "serve", "--engine", engine, "--port", str(port))
    environ = {**os.environ, "QWELL_DATA_DIR": str(data_dir), "QWELL_SCRIPT": SCRIPT}
    with (data_dir / "server.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, "--log-level", "warning", *options, stderr=log, env=environ
        )
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


@asynccontextmanager
async def served(engine: str, data_dir: Path, *options: str) -> AsyncIterator[tuple[str, int]]:
    """The same, ready: its address and its process id."""
    async with launched(engine, data_dir, *options) as (url, process):
        await _ready(url, process)
        yield url, process.pid


async def _ready(url: str, process: asyncio.subprocess.Process) -> None:
    """Raises TimeoutError when it never gets ready, RuntimeError when it ends."""
    async with asyncio.timeout(START_LIMIT_S), http_client(url, 1) as http:
        while process.returncode is None:
            try:
                if (await http.get("/ready")).is_success:
                    return
            except httpx.TransportError:
                pass  # not listening yet
            await asyncio.sleep(0.02)
    raise RuntimeError(f"the server ended with code {process.returncode}")


async def soak(
    engines: Sequence[str], seconds: float, *, niceness: int = 0, seed: int = 1
) -> list[Run]:
    """A server for each engine, one run after the other.

    niceness: of the clients. They stand for other machines, which take no time from the servers.
    """
    async with AsyncExitStack() as stack:
        servers = []
        for engine in engines:
            data = stack.enter_context(tempfile.TemporaryDirectory())
            servers.append(await stack.enter_async_context(served(engine, Path(data))))
        os.nice(niceness)
        return [
            await Soak(engine, url, pid, seed).go(seconds)
            for engine, (url, pid) in zip(engines, servers, strict=True)
        ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="qwell.bench.load", description=__doc__)
    parser.add_argument("--engine", action="append", help="scripted, native; repeat for more")
    parser.add_argument("--seconds", type=float, default=600.0, help="for each engine")
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    runs = asyncio.run(soak(options.engine or ["scripted"], options.seconds, niceness=10))
    text = to_markdown(runs)
    print(text)
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(text, encoding="utf-8")
    return 1 if any(run.all_problems() for run in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
