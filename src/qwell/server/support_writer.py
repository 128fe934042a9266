"""The served model as the writer of the support dialogue: small requests, each with a deadline.

What it writes is checked elsewhere (doctor/facts_filter.py), and nothing is decided by it. Called
from the thread of a turn; the requests run on the event loop, beside those of the chat.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Coroutine, Sequence
from contextlib import aclosing
from typing import Any

from qwell.core import Delta, Done, Message, Request, Sampling
from qwell.doctor.fault import Language
from qwell.server.worker_protocol import Worker

DEADLINE_S = 4.0
MAX_TOKENS = 96
_ASK = {
    "zh": "把下面这段话改写成一两句给用户看的话。只用里面的信息，不要加新的内容，不要加建议。",
    "en": "Rewrite the text in one or two plain sentences for the person who asked. Use only what "
    "it says; add nothing and advise nothing.",
}
_CHOOSE = (
    "A person was asked to choose one of the numbered answers and wrote their own words. Reply "
    "with the number of the answer they mean, or 0 if it is none of them."
)


class WorkerWriter:
    """Silent while the model is not ready."""

    def __init__(self, loop: asyncio.AbstractEventLoop, worker: Worker) -> None:
        self._loop = loop
        self._worker = worker

    def write(self, text: str, language: Language) -> str:
        return self._wait(self._answer(_ASK[language], text, None))

    def choose(self, said: str, labels: Sequence[str]) -> int:
        numbers = [str(n) for n in range(len(labels) + 1)]
        listed = "\n".join(f"{n}. {label}" for n, label in enumerate(labels, 1))
        asked = f"{listed}\n\nTheir words: {said[:500]}"
        answer = self._wait(self._answer(_CHOOSE, asked, {"enum": numbers}))
        try:
            return int(json.loads(answer)) - 1
        except (ValueError, TypeError):
            return -1

    def _wait(self, answer: Coroutine[Any, Any, str]) -> str:
        if self._worker.status.phase != "ready":
            answer.close()
            return ""
        running = asyncio.run_coroutine_threadsafe(answer, self._loop)
        try:
            return running.result(DEADLINE_S + 2.0)
        except TimeoutError:
            running.cancel()
            return ""

    async def _answer(self, system: str, asked: str, schema: dict[str, Any] | None) -> str:
        """The whole text; "" when it did not come to its own end in time."""
        request = Request(
            id=f"support-{secrets.token_hex(8)}",
            messages=(Message("system", system), Message("user", asked)),
            sampling=Sampling(temperature=0),
            max_tokens=MAX_TOKENS,
            reply_schema=schema,
        )
        text, ended = "", False
        try:
            async with (
                asyncio.timeout(DEADLINE_S),
                aclosing(self._worker.submit(request)) as events,
            ):
                async for event in events:
                    if isinstance(event, Delta):
                        text += event.text
                    ended = isinstance(event, Done) and event.reason == "stop"
        except TimeoutError:
            return ""
        return text.strip() if ended else ""
