"""Two events in a row that one can say. Knows nothing of who sends or reads them."""

from __future__ import annotations

from qwell.core import Delta, Event, Loading, Prefill, Queued


def merged(older: Event, newer: Event) -> Event | None:
    """One event that says what both say, or None when both are needed."""
    if isinstance(older, Delta) and isinstance(newer, Delta):
        return Delta(
            older.text + newer.text,
            older.logprobs + newer.logprobs,
            older.tool_calls + newer.tool_calls,
        )
    if type(older) is type(newer) and isinstance(newer, Queued | Loading | Prefill):
        return newer
    return None
