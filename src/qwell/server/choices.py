"""Several answers read as one row of events. The first to a prompt reads it, the others share it.

Knows streams, not what the events say beyond their beginning and their end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import replace

from qwell.core import Delta, Done, Event, Failed, Request
from qwell.errors import QwellError
from qwell.server.answer import failed_with
from qwell.server.streams import Stream, Streams

# No resuming here: just the time between two readers of the same request.
LEAVE_S = 0.1

Events = asyncio.Queue[tuple[int, Event]]


def variants(request: Request, n: int) -> list[Request]:
    """The request n times. With a seed they differ, and are the same when asked again."""
    seed = request.sampling.seed
    return [
        replace(
            request,
            id=request.id if i == 0 else f"{request.id}-{i}",
            sampling=request.sampling
            if seed is None
            else replace(request.sampling, seed=(seed + i) % 2**63),
        )
        for i in range(n)
    ]


class Choices:
    """The answers to groups of requests, numbered through; a group shares its prompt.

    The first of each group is opened at once: raises QwellError as Streams.open does. The
    others begin when the first has read the prompt, which is then copied, not read again.
    """

    def __init__(self, streams: Streams, groups: Sequence[Sequence[Request]]) -> None:
        self._streams = streams
        self._groups = groups
        self.leaders: list[Stream] = []
        self.n = sum(map(len, groups))
        try:
            for group in groups:
                self.leaders.append(streams.open(group[0], grace_s=LEAVE_S))
        except QwellError:
            with self.attached():  # and left: those that have begun will end
                raise

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Around whoever will read; without readers the answers are cancelled."""
        with ExitStack() as stack:
            for stream in self.leaders:
                stack.enter_context(stream.attached())
            yield

    async def read(self) -> AsyncGenerator[tuple[int, Event]]:
        """Every event with the number of its answer; one terminal event for each answer."""
        async with aclosing(self.batches()) as batches:
            async for batch in batches:
                for numbered in batch:
                    yield numbered

    async def batches(self, idle_s: float | None = None) -> AsyncGenerator[list[tuple[int, Event]]]:
        """The same, as many at a time as there are; none of them when idle_s passed without one."""
        events: Events = asyncio.Queue()
        firsts = [sum(map(len, self._groups[:i])) for i in range(len(self._groups))]
        tasks = [
            asyncio.create_task(self._lead(first, leader, group[1:], events))
            for first, leader, group in zip(firsts, self.leaders, self._groups, strict=True)
        ]
        try:
            n_left = self.n
            while n_left:
                batch = await _available(events, idle_s)
                n_left -= sum(isinstance(event, Done | Failed) for _, event in batch)
                yield batch
        finally:
            for task in tasks:
                task.cancel()

    async def _lead(
        self, first: int, leader: Stream, others: Sequence[Request], events: Events
    ) -> None:
        """Pass on the first answer, and let the others begin when its prompt has been read."""
        async with asyncio.TaskGroup() as tasks:
            with leader.attached():
                async for entry in leader.read():
                    events.put_nowait((first, entry.event))
                    if not isinstance(entry.event, Delta | Done | Failed):
                        continue
                    for index, request in enumerate(others, start=first + 1):
                        if isinstance(entry.event, Failed):
                            events.put_nowait((index, entry.event))
                        else:
                            tasks.create_task(self._follow(index, request, events))
                    others = ()

    async def _follow(self, index: int, request: Request, events: Events) -> None:
        try:
            stream = self._streams.open(request, grace_s=LEAVE_S)
        except QwellError as error:
            events.put_nowait((index, failed_with(error)))
            return
        with stream.attached():
            async for entry in stream.read():
                events.put_nowait((index, entry.event))


async def _available(events: Events, timeout_s: float | None) -> list[tuple[int, Event]]:
    """All that is there, waiting for the first; none after timeout_s."""
    try:
        async with asyncio.timeout(timeout_s):
            batch = [await events.get()]
    except TimeoutError:
        return []
    while not events.empty():
        batch.append(events.get_nowait())
    return batch
