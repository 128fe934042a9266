"""What one client saw of one answer, and what is wrong with that. Knows no transport."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Event = dict[str, Any]
TERMINAL = ("done", "error")


@dataclass(slots=True)
class Witness:
    """expected: the whole answer, where it is known; events in the order of arrival.

    conversation: where question and answer are stored, if they are.
    """

    transport: str
    expected: str | None
    conversation: str = ""
    events: list[Event] = field(default_factory=list)

    @property
    def stream(self) -> str:
        """The id under which the answer can be resumed; empty before the first event."""
        return str(self.events[0].get("stream", "")) if self.events else ""

    @property
    def text(self) -> str:
        return "".join(e["text"] for e in self.events if e["type"] == "delta")

    @property
    def end(self) -> Event | None:
        last = self.events[-1] if self.events else None
        return last if last is not None and last["type"] in TERMINAL else None

    @property
    def outcome(self) -> str:
        """The end in a word: a reason, or error and its code."""
        end = self.end
        if end is None:
            return "open"
        return str(end["reason"]) if end["type"] == "done" else f"error {end['code']}"

    @property
    def is_refused(self) -> bool:
        """Not accepted at all: nothing was promised."""
        return len(self.events) == 1 and "seq" not in self.events[0]

    def problems(self) -> list[str]:
        """Every broken promise; none for a good answer, whole or cut short."""
        found = []
        numbers = [event.get("seq") for event in self.events]
        if not self.is_refused and numbers != list(range(len(numbers))):
            found.append(f"numbers are not 0..{len(numbers) - 1}: {numbers}")
        n_ends = sum(event["type"] in TERMINAL for event in self.events)
        if n_ends != 1 or self.end is None:
            found.append(f"{n_ends} terminal events, the last is {self.outcome}")
        if self.end and self.end["type"] == "error" and not (self.end["code"] and self.end["fix"]):
            found.append(f"an error without code or fix: {self.end}")
        return found + self._problems_of_text()

    def problems_of_store(self, messages: Sequence[Mapping[str, Any]]) -> list[str]:
        """What the store lost of the question and of what was shown; messages: what it holds."""
        contents = [(message["role"], message["content"]) for message in messages]
        states = [message["state"] for message in messages]
        found = []
        if contents != [("user", self.expected), ("assistant", self.text)]:
            found.append(f"{contents} is stored, {self.text!r} was shown")
        if "partial" in states:
            found.append(f"what has ended is stored as {states}")
        return found

    def _problems_of_text(self) -> list[str]:
        if self.expected is None or self.text == self.expected:
            return []
        if self.outcome == "stop":
            return [f"{self.text!r} came as the whole of {self.expected!r}"]
        # an answer may be stopped within a character, which is then shown as such
        if not self.expected.startswith(self.text.removesuffix("\ufffd")):
            return [f"{self.text!r} is no beginning of {self.expected!r}"]
        return []


async def watch(witness: Witness, events: AsyncIterable[Event], at_most: int | None = None) -> None:
    """Keep what comes, up to the terminal event or to a number of events."""
    n_seen = 0
    async for event in events:
        witness.events.append(event)
        n_seen += 1
        if n_seen == at_most or witness.end is not None:
            return
