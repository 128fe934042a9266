"""Requests in, events out: one `step` schedules, runs, samples and emits.

Knows nothing of processes, HTTP and the wall clock: time is a function given to it. Everything
but `interrupt` is called from one thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np

from qwell.backends import Backend, Cancelled, Chunk, Logits
from qwell.core import Delta, Done, Event, Notice, Prefill, Queued, Reason, Request
from qwell.engine.estimate import WaitEstimate
from qwell.engine.failure import failed, inference_failed, not_finite
from qwell.engine.interruption import Interruption
from qwell.engine.prompt import Prompt, encode_prompt
from qwell.engine.sampling import History, Rules, logprobs, sample
from qwell.engine.scheduler import Policy, Scheduler
from qwell.engine.sequence import Sequence
from qwell.errors import QwellError
from qwell.text import IncrementalDecoder, Text

Events = list[tuple[str, Event]]
_log = logging.getLogger(__name__)


class Engine:
    """Answers requests with a backend. Every accepted request gets exactly one terminal event.

    `add`, `cancel` and `step` return the events they cause, each with its request's id.
    """

    def __init__(
        self,
        backend: Backend,
        text: Text,
        clock: Callable[[], float] = time.monotonic,
        *,
        policy: Policy | None = None,
    ) -> None:
        self._backend = backend
        self._text = text
        self._clock = clock
        self._scheduler = Scheduler(backend.limits.n_slots, policy or Policy())
        self._estimate = WaitEstimate(backend.limits.n_slots)
        self._live: dict[str, Sequence] = {}
        self._events: Events = []
        self._interruption = Interruption(backend.cancel)
        self.n_steps = 0

    @property
    def has_work(self) -> bool:
        return bool(self._live)

    @property
    def n_running(self) -> int:
        return len(self._scheduler.running)

    @property
    def n_waiting(self) -> int:
        return len(self._scheduler.waiting)

    def add(self, request: Request) -> Events:
        """Accept a request. One that cannot be answered fails at once. Ids must be unique."""
        assert request.id not in self._live, f"request id {request.id} is in use"
        try:
            prompt = encode_prompt(self._text, request, self._backend.limits.n_ctx)
        except QwellError as error:
            self._emit(request.id, failed(error, request.id))
            return self._taken()
        sequence = self._sequence(request, prompt)
        self._live[request.id] = sequence
        self._scheduler.waiting.append(sequence)
        if prompt.notice is not None:
            self._emit(request.id, prompt.notice)
        self._report_positions()
        return self._taken()

    def cancel(self, request_id: str) -> Events:
        """End an answer early. Unknown ids are ignored: it may have ended already."""
        if (sequence := self._live.get(request_id)) is not None:
            self._finish(sequence, "cancelled")
        return self._taken()

    def interrupt(self, request_id: str) -> bool:
        """End the running step if it works mostly for a request that will be cancelled.

        The one method that other threads may call; see Interruption.interrupt.
        """
        return self._interruption.interrupt(request_id)

    def step(self) -> Events:
        """Admit who fits, run one batch, and give each row its next token."""
        while self._scheduler.can_admit:
            self._admit()
        rows = self._scheduler.plan()
        sizes = [(sequence.request.id, len(chunk.tokens)) for sequence, chunk in rows]
        try:
            with self._interruption.step(sizes):
                results = self._forward([chunk for _, chunk in rows])
        except Cancelled:
            return self._taken()  # nothing was appended: the same rows come again
        for (sequence, chunk), result in zip(rows, results, strict=True):
            self._advance(sequence, chunk, result)
        self.n_steps += 1
        return self._taken()

    # -- admission

    def _sequence(self, request: Request, prompt: Prompt) -> Sequence:
        n_vocab = self._backend.limits.n_vocab
        room = self._backend.limits.n_ctx - len(prompt.ids)
        return Sequence(
            request=request,
            ids=prompt.ids,
            n_prompt=len(prompt.ids),
            n_max=min(room, room if request.max_tokens is None else request.max_tokens),
            rules=Rules.of(request.sampling, self._text.generation_config),
            history=History(n_vocab, prompt.ids),
            decoder=IncrementalDecoder(self._text.tokenizer, request.stop),
            rng=np.random.default_rng(request.sampling.seed),
            arrived=self._clock(),
        )

    def _admit(self) -> None:
        place = self._scheduler.place(self._scheduler.waiting[0])
        sequence = self._scheduler.waiting[0]
        try:
            if place.source is not place.slot:
                self._backend.copy(place.source.index, place.slot.index, place.n_reused)
        except Exception as error:  # noqa: BLE001  whatever a backend raises ends one request only
            self._fail(sequence, inference_failed(error))
            return
        self._scheduler.admit(place)
        sequence.admitted = self._clock()
        self._report_positions()

    def _report_positions(self) -> None:
        """Tell those whose place in the queue has changed. With a free slot there is no queue."""
        n_free = self._backend.limits.n_slots - self.n_running
        queue = islice(self._scheduler.waiting, n_free, None)
        for position, sequence in enumerate(queue, start=1):
            if position != sequence.position:
                sequence.position = position
                event = Queued(position, self._estimate.wait_s(position))
                self._emit(sequence.request.id, event)

    # -- one row of a step

    def _forward(self, chunks: list[Chunk]) -> list[Logits | QwellError | None]:
        """Run the batch; when it fails, run each chunk alone to find out whose fault it is."""
        try:
            return list(self._backend.forward(chunks))
        except Cancelled:
            raise
        except Exception as error:  # noqa: BLE001  the same
            _log.exception("a step with %d rows failed", len(chunks))
            if len(chunks) == 1:
                return [inference_failed(error)]
        return [result for chunk in chunks for result in self._forward([chunk])]

    def _advance(
        self, sequence: Sequence, chunk: Chunk, result: Logits | QwellError | None
    ) -> None:
        if isinstance(result, QwellError):
            self._fail(sequence, result)
            return
        assert sequence.slot is not None
        was_reading = sequence.first_token is None
        sequence.slot.ids.extend(chunk.tokens)
        if was_reading:
            self._emit(
                sequence.request.id,
                Prefill(sequence.n_cached, sequence.n_prompt, sequence.n_reused),
            )
        if result is None:
            return
        if not np.isfinite(result).all():
            self._fail(sequence, not_finite(sequence.n_answer))
            return
        if was_reading:
            sequence.first_token = self._clock()
        self._next_token(sequence, result)

    def _next_token(self, sequence: Sequence, logits: Logits) -> None:
        """Sample, and say what became final; an answer that is over is finished."""
        if sequence.n_max == 0:
            self._finish(sequence, "length")
            return
        token = sample(logits, sequence.rules, sequence.history, sequence.rng)
        if token in self._text.stop_ids:
            self._finish(sequence, "stop")
            return
        sequence.ids.append(token)
        sequence.history.note(token)
        if sequence.request.top_logprobs is not None:
            sequence.logprobs.append(self._logprob_entry(sequence, logits, token))
        self._say(sequence, sequence.decoder.push(token))
        if sequence.decoder.stopped:
            self._finish(sequence, "stop")
        elif sequence.guard.push(token):
            self._finish(sequence, "repetition")
        elif sequence.n_answer == sequence.n_max:
            self._finish(sequence, "length")

    def _say(self, sequence: Sequence, text: str, *, at_end: bool = False) -> None:
        """Emit text, with the logprobs of all tokens since the last text."""
        if text or (at_end and sequence.logprobs):
            self._emit(sequence.request.id, Delta(text, tuple(sequence.logprobs)))
            sequence.logprobs.clear()

    def _logprob_entry(self, sequence: Sequence, logits: Logits, token: int) -> dict[str, Any]:
        own, best = logprobs(logits, token, sequence.request.top_logprobs or 0)
        top = [self._logprob(other, value) for other, value in best]
        return {**self._logprob(token, own), "top_logprobs": top}

    def _logprob(self, token: int, value: float) -> dict[str, Any]:
        raw = self._text.tokenizer.token_bytes(token)
        return {"token": raw.decode("utf-8", "replace"), "logprob": value, "bytes": list(raw)}

    # -- endings

    def _finish(self, sequence: Sequence, reason: Reason) -> None:
        self._say(sequence, sequence.decoder.finish(), at_end=True)
        now = self._clock()
        if reason == "repetition":
            self._emit(sequence.request.id, Notice("repetition-loop"))
        self._emit(sequence.request.id, Done(reason, sequence.usage(), sequence.timings(now)))
        if sequence.admitted is not None:
            self._estimate.note(now - sequence.admitted)
        self._remove(sequence)

    def _fail(self, sequence: Sequence, error: QwellError) -> None:
        self._emit(sequence.request.id, failed(error, sequence.request.id))
        self._remove(sequence, damaged=True)

    def _remove(self, sequence: Sequence, *, damaged: bool = False) -> None:
        self._scheduler.release(sequence, damaged=damaged)
        del self._live[sequence.request.id]
        self._report_positions()

    def _emit(self, request_id: str, event: Event) -> None:
        self._events.append((request_id, event))

    def _taken(self) -> Events:
        events, self._events = self._events, []
        return events
