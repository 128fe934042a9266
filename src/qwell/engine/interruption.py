"""Ends a step that nobody waits for any more, from another thread than the one that runs it.

Knows which requests the running step works for and how much, not what is computed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from qwell.backends import Cancelled


class Interruption:
    """cancel: the backend's, which makes a running forward raise Cancelled soon.

    A step is worth interrupting when most of its tokens belong to requests that have been
    cancelled. What it had computed for the others is computed again, so the step after such an
    interruption is left alone: nobody is kept from progress by others who come and go.
    """

    def __init__(self, cancel: Callable[[], None]) -> None:
        self._cancel = cancel
        self._lock = threading.Lock()
        self._n_tokens: dict[str, int] = {}  # of the running step, by request
        self._unwanted: set[str] = set()
        self._owes_progress = False  # the last step was interrupted at somebody's expense

    @contextmanager
    def step(self, rows: Iterable[tuple[str, int]]) -> Iterator[None]:
        """Around one step; rows: request and number of tokens of each row."""
        with self._lock:
            for request_id, n in rows:
                self._n_tokens[request_id] = self._n_tokens.get(request_id, 0) + n
        try:
            yield
        except Cancelled:
            self._owes_progress = self._n_tokens.keys() > self._unwanted
            raise
        else:
            self._owes_progress = False
        finally:
            with self._lock:
                self._n_tokens = {}
                self._unwanted.clear()

    def interrupt(self, request_id: str) -> bool:
        """A request is not wanted any more. Callable from any thread.

        True: the running step is being ended; ask again until False, for the step may just
        have been about to begin.
        """
        with self._lock:
            if request_id not in self._n_tokens:
                return False
            self._unwanted.add(request_id)
            total = sum(self._n_tokens.values())
            wasted = sum(self._n_tokens[name] for name in self._unwanted)
            if wasted < total and (self._owes_progress or 2 * wasted <= total):
                return False
            self._cancel()
            return True
