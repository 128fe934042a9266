"""What the server's monitors cost: tokens per second with them and without, in turns.

Rounds come ten times as often as in a server, so that what they cost stands out from the noise; a
tenth of it is what they cost. Prints the medians, the pairs, and the CPU time of one round. Needs
the model, and a machine that does nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from qwell.config import Settings
from qwell.core import Done, Message, Request, Sampling, is_terminal
from qwell.errors import QwellError
from qwell.server import monitors
from qwell.server.app import create_app
from qwell.server.doctor_room import DoctorRoom
from qwell.worker.supervisor import Supervisor

N_PAIRS, SECONDS = 8, 4.0
FASTER, EVERY_S = 10, monitors.EVERY_S
N_TOKENS = 128
TEXT = "Write a long story about a lighthouse keeper, his dog and a storm."


class Rounds(monitors.Monitors):
    """Without the fixed question, which is only asked while nobody waits for an answer."""

    def _is_due(self) -> bool:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--pairs", type=int, default=N_PAIRS)
    options = parser.parse_args()
    with _settings(options.model) as settings:
        asyncio.run(_measure(settings, options.pairs))


@contextmanager
def _settings(model: str) -> Iterator[Settings]:
    """Of a server with a data folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        yield replace(Settings(), model=model, data_dir=str(Path(folder) / "data"))


async def _measure(settings: Settings, n_pairs: int) -> None:
    logging.disable(logging.WARNING)
    monitors.EVERY_S = EVERY_S / FASTER
    worker = Supervisor(settings)
    room: DoctorRoom = create_app(settings, worker).state.doctor
    await worker.start()
    while worker.status.phase != "ready":
        if worker.status.error is not None:
            raise worker.status.error
        await worker.changed()
    try:
        await _rate(worker, nullcontext())  # the first one warms up
        pairs = [
            (await _rate(worker, _rounds(room).running()), await _rate(worker, nullcontext()))
            for _ in range(n_pairs)
        ]
        print("\n".join(_report(pairs, await _round_ms(room))))
    finally:
        await worker.stop(0.0)


async def _rate(worker: Supervisor, watched: AbstractAsyncContextManager[object]) -> float:
    """Tokens per second of one conversation after the other."""
    n_tokens, computed_s = 0, 0.0
    async with watched:
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            done = await _answer(worker)
            n_tokens += done.usage.completion_tokens
            computed_s += done.usage.completion_tokens / done.timings.tok_s
    return n_tokens / computed_s


async def _answer(worker: Supervisor) -> Done:
    request = Request(
        id=f"measured-{time.monotonic_ns()}",
        messages=(Message("user", TEXT),),
        sampling=Sampling(temperature=0),
        max_tokens=N_TOKENS,
    )
    events = [event async for event in worker.submit(request) if is_terminal(event)]
    if not isinstance(events[-1], Done):
        raise QwellError(
            "inference-failed", found=str(events[-1]), expected="an answer", fix="look at the log"
        )
    return events[-1]


def _rounds(room: DoctorRoom) -> Rounds:
    return Rounds(room.view, room.incidents, lambda _: "")


async def _round_ms(room: DoctorRoom) -> float:
    """CPU time of this process in one round of all watched checks, the fixed question apart."""
    watch = _rounds(room)
    await watch.tick()
    started = time.process_time()
    for _ in range(5):
        await watch.tick()
    return 1e3 * (time.process_time() - started) / 5


def _report(pairs: list[tuple[float, float]], round_ms: float) -> Iterator[str]:
    watched, alone = (statistics.median(side) for side in zip(*pairs, strict=True))
    lost = [100 * (1 - a / b) for a, b in pairs]
    yield f"a round every {EVERY_S / FASTER} s {watched:7.2f} tok/s (median of {len(pairs)} turns)"
    yield f"no rounds          {alone:7.2f} tok/s"
    middle, share = statistics.median(lost), round_ms / EVERY_S / 10
    yield f"lost               {middle:7.2f} % (median; pairs {_row(sorted(lost))})"
    yield f"lost in a server   {middle / FASTER:7.2f} %, a round every {EVERY_S} s"
    yield f"one round          {round_ms:7.1f} ms of CPU time: {share:.2f} % of one core"


def _row(values: list[float]) -> str:
    return " ".join(f"{value:+.1f}" for value in values)


if __name__ == "__main__":
    main()
