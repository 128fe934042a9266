"""An answer that may be begun by one engine and ended by another. Knows no network.

What the reader has seen stays: the next engine is asked to go on after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qwell.core import Delta, Done, Event, Message, Notice, Prefill, Queued, Request


class Relay:
    """Events go through `passed`; `rest` is what must still be asked when an engine is lost."""

    def __init__(self, request: Request, said: Sequence[Delta] | None = None) -> None:
        """said: what engines have said before, by way of another front."""
        self._request = request
        self._said = ""
        self._n_pieces = 0  # of text and calls: about as many as tokens
        self._has_called = False
        self._n_engines = 0 if said is None else 1
        for piece in said or ():
            self._note(piece)

    @property
    def can_move(self) -> bool:
        """Whether another engine can go on: after text it can, not in the middle of a call."""
        is_text = not self._has_called and not self._request.prompt_ids
        return not self._n_pieces or (is_text and self._request.top_logprobs is None)

    def rest(self) -> Request:
        """The request for the next engine."""
        self._n_engines += 1
        if not self._said:
            return self._request
        limit = self._request.max_tokens
        left = None if limit is None else max(1, limit - self._n_pieces)
        if not self._request.messages:
            prompt = (self._request.prompt or "") + self._said
            return replace(self._request, prompt=prompt, max_tokens=left)
        *before, last = self._request.messages
        if self._request.continue_last:
            messages = (*before, replace(last, content=last.content + self._said))
        else:
            messages = (*before, last, Message("assistant", self._said))
        return replace(self._request, messages=messages, max_tokens=left, continue_last=True)

    def passed(self, event: Event) -> Event | None:
        """The event as the reader should see it, or None for what it has been told before."""
        if isinstance(event, Delta):
            self._note(event)
        if self._n_engines == 1:
            return event
        if isinstance(event, Queued | Prefill | Notice):
            return None
        if isinstance(event, Done):
            n_before = self._n_pieces - event.usage.completion_tokens
            total = event.usage.completion_tokens + max(0, n_before)
            return replace(event, usage=replace(event.usage, completion_tokens=total))
        return event

    def _note(self, piece: Delta) -> None:
        self._said += piece.text
        self._n_pieces += 1
        self._has_called = self._has_called or bool(piece.tool_calls)
