"""Requests in, events out: one `step` schedules, runs, samples and emits.

Knows nothing of processes, HTTP and the wall clock: time is a function given to it. Everything
but `interrupt` is called from one thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice
from typing import Any

from qwell.backends import Backend, Cancelled, Chunk, Logits, Settles
from qwell.core import Done, Event, Prefill, Queued, Reason, Request, Tokens, Usage
from qwell.engine.constraint import Constraint, Grammars
from qwell.engine.estimate import WaitEstimate
from qwell.engine.failure import failed, inference_failed, not_finite, nothing_allowed
from qwell.engine.interruption import Interruption
from qwell.engine.prompt import Prompt, decode_whole, encode_prompt, encode_whole
from qwell.engine.remarks import remarks
from qwell.engine.sampling import (
    FORBIDDEN,
    NOT_FINITE,
    Contenders,
    Rules,
    logprobs,
    new_sampler,
)
from qwell.engine.scheduler import Policy, Scheduler
from qwell.engine.sequence import Sequence
from qwell.engine.transcript import Transcript
from qwell.engine.warmth import Warmth
from qwell.errors import QwellError
from qwell.text import Text
from qwell.text.grammar import answer_grammar

Events = list[tuple[str, Event]]
_POSITION_EVERY_S = 1.0
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
        default_max_tokens: int | None = None,
        warmth: Warmth | None = None,
    ) -> None:
        """default_max_tokens: of answers to requests that name no limit; None: the context's.

        warmth: brings slots to disk and back; None: a restart reads every conversation anew.
        """
        self._backend = backend
        self._text = text
        self._clock = clock
        self._default_max_tokens = default_max_tokens
        self._warmth = warmth
        self._grammars = Grammars(text, backend.limits.n_vocab)
        self._scheduler = Scheduler(backend.limits.n_slots, policy or Policy())
        self._estimate = WaitEstimate(backend.limits.n_slots)
        self._live: dict[str, Sequence] = {}
        self._events: Events = []
        self._interruption = Interruption(backend.cancel)
        self.n_steps = 0

    @property
    def has_work(self) -> bool:
        """Whether `step` would bring anybody forward: paused requests do not count."""
        return self._scheduler.has_work

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
            if request.encode_only:
                self._encode(request)
            else:
                self._accept(request)
        except QwellError as error:
            self._emit(request.id, failed(error, request.id))
        return self._taken()

    def cancel(self, request_id: str) -> Events:
        """End an answer early. Unknown ids are ignored: it may have ended already."""
        if (sequence := self._live.get(request_id)) is not None:
            self._finish(sequence, "cancelled")
        return self._taken()

    def pause(self, request_id: str) -> None:
        """Spend nothing on an answer until it is resumed or cancelled; it keeps what it has.

        Unknown ids and repetitions are ignored, here and in resume.
        """
        sequence = self._live.get(request_id)
        if sequence is not None and sequence not in self._scheduler.paused:
            self._scheduler.pause(sequence)

    def resume(self, request_id: str) -> None:
        """Go on with a paused answer."""
        sequence = self._live.get(request_id)
        if sequence is not None and sequence in self._scheduler.paused:
            self._scheduler.resume(sequence)

    def settle(self) -> bool:
        """Do now a part of what the backend would do before its next steps; whether all is done."""
        return not isinstance(self._backend, Settles) or self._backend.settle()

    def prepare(self) -> bool:
        """Do now, while nobody waits, what the first answer in a schema would wait for. True."""
        self._grammars.prepare()
        return True

    def interrupt(self, request_id: str) -> bool:
        """End the running step if it works mostly for a request that will be cancelled or paused.

        The one method that other threads may call; see Interruption.interrupt.
        """
        return self._interruption.interrupt(request_id)

    def step(self) -> Events:
        """Admit who fits, run one batch, and give each row its next token."""
        while self._scheduler.can_admit:
            self._admit()
        rows = self._drafted(self._scheduler.plan())
        sizes = [(sequence.request.id, len(chunk.tokens)) for sequence, chunk in rows]
        began = self._clock()
        try:
            with self._interruption.step(sizes):
                results = self._forward([chunk for _, chunk in rows])
        except Cancelled:
            return self._taken()  # nothing was appended: the same rows come again
        self._scheduler.note(rows, self._clock() - began)
        for (sequence, chunk), result in zip(rows, results, strict=True):
            self._advance(sequence, chunk, result)
        self.n_steps += 1
        return self._taken()

    # -- admission

    def _encode(self, request: Request) -> None:
        ids = encode_whole(self._text, request)
        self._emit(request.id, Tokens(tuple(ids), decode_whole(self._text, ids)))
        self._emit(request.id, Done(usage=Usage(prompt_tokens=len(ids))))

    def _accept(self, request: Request) -> None:
        prompt = encode_prompt(self._text, request, self._backend.limits.n_ctx)
        sequence = self._sequence(request, prompt)
        self._live[request.id] = sequence
        self._scheduler.waiting.append(sequence)
        if prompt.notice is not None:
            self._emit(request.id, prompt.notice)
        self._report_positions()

    def _sequence(self, request: Request, prompt: Prompt) -> Sequence:
        n_vocab = self._backend.limits.n_vocab
        rules = Rules.of(request.sampling, self._text.generation_config)
        room = self._backend.limits.n_ctx - len(prompt.ids)
        asked = self._default_max_tokens if request.max_tokens is None else request.max_tokens
        return Sequence(
            request=request,
            ids=prompt.ids,
            n_prompt=len(prompt.ids),
            n_max=room if asked is None else min(room, asked),
            rules=rules,
            sampler=new_sampler(rules, n_vocab, prompt.ids, request.sampling.seed),
            contenders=Contenders(rules, n_vocab, prompt.ids),
            transcript=Transcript(self._text.tokenizer, request),
            arrived=self._clock(),
            constraint=self._constraint(request),
            n_dropped=prompt.n_dropped,
        )

    def _constraint(self, request: Request) -> Constraint | None:
        grammar = answer_grammar(
            reply=request.reply_schema,
            tools=request.tools,
            must_call=request.must_call,
            one_call=request.one_call,
        )
        if not grammar:
            return None
        constraint = self._grammars.constraint(grammar)
        if request.continue_last and request.reply_schema is not None:
            constraint.accept(*self._text.tokenizer.encode(request.messages[-1].content))
        return constraint

    def _admit(self) -> None:
        place = self._scheduler.place(self._scheduler.waiting[0])
        sequence = self._scheduler.waiting[0]
        try:
            if place.source is not place.slot:
                self._backend.copy(place.source.index, place.slot.index, place.n_reused)
            if self._warmth is not None:
                n = self._warmth.restore(place.slot, sequence.ids[:-1], place.n_reused)
                place = replace(place, n_reused=n)
        except Exception as error:  # noqa: BLE001  whatever a backend raises ends one request only
            self._fail(sequence, inference_failed(error))
            return
        self._scheduler.admit(place)
        sequence.admitted = self._clock()
        self._report_positions()

    def _report_positions(self) -> None:
        """Tell those whose place in the queue has changed. With a free slot there is no queue.

        When short answers go by, a long queue would otherwise hear of each of them at once.
        """
        queue = list(islice(self._scheduler.waiting, self._scheduler.n_free, None))
        now = self._clock() if queue else 0.0
        for position, sequence in enumerate(queue, start=1):
            if position != sequence.position and now >= sequence.next_report:
                sequence.position = position
                sequence.next_report = now + _POSITION_EVERY_S
                event = Queued(position, self._estimate.wait_s(position))
                self._emit(sequence.request.id, event)

    # -- one row of a step

    def _drafted(self, rows: list[tuple[Sequence, Chunk]]) -> list[tuple[Sequence, Chunk]]:
        """An answer that is alone tries what it may say next. With others their rows come first."""
        if len(rows) != 1 or not self._backend.verifies:
            return rows
        [(sequence, chunk)] = rows
        if sequence.n_pending != 1 or sequence.first_token is None:
            return rows
        room = self._backend.limits.n_ctx - len(sequence.ids)
        most = min(room, sequence.n_max - sequence.n_answer - 1)
        draft = sequence.lookup.draft(sequence.ids, most)
        tokens, n = (*chunk.tokens, *draft), len(draft)
        choice = sequence.choice(n)
        return [(sequence, replace(chunk, tokens=tokens, n_drafted=n, choice=choice))]

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
        n_settled = len(chunk.tokens) - chunk.n_drafted
        sequence.slot.ids.extend(chunk.tokens[:n_settled])
        if sequence.first_token is None:
            self._emit(
                sequence.request.id,
                Prefill(sequence.n_cached, sequence.n_prompt, sequence.n_reused),
            )
        if result is None:
            return
        if chunk.n_drafted == 0:
            self._next_token(sequence, result)
            return
        n_right = self._verify(sequence, list(chunk.tokens[n_settled:]), result)
        sequence.lookup.note(chunk.n_drafted, n_right)

    def _verify(self, sequence: Sequence, draft: list[int], rows: Logits) -> int:
        """Sample as ever; where the guess was right, the next logits are there already.

        rows: (len(draft) + 1, n_vocab). Returns how many guesses were right.
        """
        for n_right, guess in enumerate([*draft, None]):
            token = self._next_token(sequence, rows[n_right])
            if token is None or token != guess or sequence.slot is None:
                return n_right
            sequence.slot.ids.append(token)
        return len(draft)

    def _next_token(self, sequence: Sequence, logits: Logits) -> int | None:
        """Sample and go on with the token; None when the answer is over."""
        try:
            token = self._sampled(sequence, logits)
        except QwellError as error:
            self._fail(sequence, error)
            return None
        if sequence.first_token is None:
            sequence.first_token = self._clock()
        self._take(sequence, logits, token)
        return token if sequence.slot is not None else None

    def _take(self, sequence: Sequence, logits: Logits, token: int) -> None:
        """Go on with a token, and say what became final; an answer that is over is finished."""
        if sequence.n_max == 0:
            self._finish(sequence, "length")
            return
        if token in self._text.stop_ids:
            self._finish(sequence, "stop")
            return
        sequence.take(token)
        self._say(sequence, sequence.transcript.push(token, self._told(sequence, logits, token)))
        if sequence.transcript.stop or (sequence.constraint and sequence.constraint.is_complete):
            self._finish(sequence, "stop")
        elif sequence.transcript.loops:
            self._finish(sequence, "repetition")
        elif sequence.n_answer == sequence.n_max:
            self._finish(sequence, "length")

    def _sampled(self, sequence: Sequence, logits: Logits) -> int:
        """The next token, one that the answer's grammar allows. Raises QwellError."""
        constraint = sequence.constraint
        token = sequence.sampler.next(logits, constraint.allowed() if constraint else None)
        if token == NOT_FINITE:
            raise not_finite(sequence.n_answer)
        if token == FORBIDDEN:
            raise nothing_allowed(sequence.n_answer)
        if constraint and not constraint.is_complete:  # when it is, this is the end
            constraint.accept(token)
        return token

    def _say(self, sequence: Sequence, events: Iterable[Event]) -> None:
        for event in events:
            self._emit(sequence.request.id, event)

    def _told(self, sequence: Sequence, logits: Logits, token: int) -> dict[str, Any] | None:
        """The logprob entry of a token, if the request asks for one."""
        if sequence.request.top_logprobs is None:
            return None
        return self._logprob_entry(sequence, logits, token)

    def _logprob_entry(self, sequence: Sequence, logits: Logits, token: int) -> dict[str, Any]:
        own, best = logprobs(logits, token, sequence.request.top_logprobs or 0)
        top = [self._logprob(other, value) for other, value in best]
        return {**self._logprob(token, own), "top_logprobs": top}

    def _logprob(self, token: int, value: float) -> dict[str, Any]:
        raw = self._text.tokenizer.token_bytes(token)
        return {"token": raw.decode("utf-8", "replace"), "logprob": value, "bytes": list(raw)}

    # -- endings

    def _finish(self, sequence: Sequence, reason: Reason) -> None:
        transcript = sequence.transcript
        self._say(sequence, transcript.finish())
        self._say(sequence, remarks(sequence, reason))
        if reason == "stop" and transcript.has_called:
            reason = "tool_calls"
        now = self._clock()
        done = Done(reason, sequence.usage(), sequence.timings(now), transcript.stop)
        self._emit(sequence.request.id, done)
        if sequence.admitted is not None:
            self._estimate.note(now - sequence.admitted)
        self._remove(sequence)

    def _fail(self, sequence: Sequence, error: QwellError) -> None:
        self._emit(sequence.request.id, failed(error, sequence.request.id))
        self._remove(sequence, damaged=True)

    def _remove(self, sequence: Sequence, *, damaged: bool = False) -> None:
        if self._warmth is not None and sequence.slot is not None and not damaged:
            self._warmth.keep(sequence.slot)
        self._scheduler.release(sequence, damaged=damaged)
        del self._live[sequence.request.id]
        self._report_positions()

    def _emit(self, request_id: str, event: Event) -> None:
        self._events.append((request_id, event))

    def _taken(self) -> Events:
        events, self._events = self._events, []
        return events
