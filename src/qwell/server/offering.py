"""Offers a diagnosis beside an answer: a notice in its stream, for a plain complaint or a log.

The answer itself is as always. Whether a message is one is decided in doctor/complaint.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from qwell.core import Event, Failed, Notice
from qwell.doctor.complaint import complaint
from qwell.server.streams import Recorder

CODE = "diagnosis-offered"


class Offering:
    """A recorder around another one, or around none."""

    def __init__(self, text: str, request_id: str, inner: Recorder | None = None) -> None:
        self._text = text
        self._request_id = request_id
        self._inner = inner

    async def watch(self, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
        """The same events, after the notice where one is due; it is recorded with them."""
        offered = self._with_notice(events)
        async with aclosing(self._inner.watch(offered) if self._inner else offered) as watched:
            async for event in watched:
                yield event

    async def _with_notice(self, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
        async with aclosing(events):
            if (notice := await self._notice()) is not None:
                yield notice
            async for event in events:
                yield event

    async def _notice(self) -> Notice | None:
        offer = await asyncio.to_thread(complaint, self._text)
        if offer is None:
            return None
        detail = {"kind": offer.kind, "faults": list(offer.faults), "request_id": self._request_id}
        return Notice(CODE, detail)

    def overrule(self, end: Failed) -> None:
        if self._inner is not None:
            self._inner.overrule(end)


def prepare() -> None:
    """Read the rules, which takes a moment, before the first message needs them."""
    complaint("the model server does not answer")
