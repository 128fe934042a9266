"""A backend without a model: it answers from a script, and breaks on demand.

It computes the next token from the tokens its slot holds and from nothing else, so it gives
wrong answers whenever the engine fills a slot wrongly. Its vocabulary is that of
`Tokenizer.byte_level()`: 256 bytes, then <|endoftext|>, <|im_start|>, <|im_end|>.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qwell.backends import Cancelled, Chunk, Limits, Logits
from qwell.errors import QwellError

N_VOCAB = 259
END_OF_TEXT, START, END = 256, 257, 258
SURE = 30.0  # logit of the one token that comes next; all others have 0
CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
_ANSWER_HEADER = [START, *b"assistant\n"]
_TIME_LIMIT_S = 3600.0  # of a hang that nobody ends

Answer = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Script:
    """What to answer and how to fail. A number of tokens counts those of one answer.

    answer         the answer to everything; "" echoes the last user message
    answers        by user message; looked up before answer
    token_delay_s  time that each step of an answer takes
    prompt_delay_s the same for each chunk of a prompt
    load_delay_s   time that loading takes; load_crash: signal it dies of; load_fault: it fails
    *_after        after so many tokens: die of `signal`, hang (deaf to cancel), raise, give NaN;
                   0 is while the prompt is read, -1 never
    when           the faults apply only to user messages that contain this
    """

    answer: str = ""
    answers: Mapping[str, str] | None = None
    token_delay_s: float = 0.0
    prompt_delay_s: float = 0.0
    load_delay_s: float = 0.0
    load_crash: str = ""
    load_fault: str = ""
    crash_after: int = -1
    hang_after: int = -1
    fail_after: int = -1
    nan_after: int = -1
    signal: str = "SIGSEGV"
    when: str = ""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Script:
        """From QWELL_SCRIPT, a JSON object of the fields; without it every message is echoed.

        Raises QwellError ``config-invalid`` for anything else.
        """
        raw = environ.get("QWELL_SCRIPT") or "{}"
        try:
            return cls(**json.loads(raw))
        except (TypeError, ValueError) as error:
            raise QwellError(
                "config-invalid",
                found=f"QWELL_SCRIPT = {raw!r}: {error}",
                expected="a JSON object with the fields of qwell.backends.scripted.Script",
                fix="correct or unset QWELL_SCRIPT",
            ) from error

    def reply(self, message: str) -> str:
        return (self.answers or {}).get(message) or self.answer or message or "ok"

    def load(self) -> None:
        """Take the time that loading takes, or fail as told."""
        time.sleep(self.load_delay_s)
        if self.load_crash:
            os.kill(os.getpid(), signal.Signals[self.load_crash])
        if self.load_fault:
            raise QwellError(
                self.load_fault, found="a script", expected="no script", fix="unset QWELL_SCRIPT"
            )


class ScriptedBackend:
    """See the module. log: the last batches given to forward, for tests to look at."""

    def __init__(
        self,
        script: Script | None = None,
        *,
        n_ctx: int = 512,
        n_slots: int = 2,
        reply: Answer | None = None,
        verifies: bool = False,
    ) -> None:
        self.verifies = verifies
        self.limits = Limits(N_VOCAB, n_ctx, n_slots)
        self.log: deque[list[Chunk]] = deque(maxlen=1000)
        self._script = script or Script()
        self._reply = reply or self._script.reply
        self._slots: list[list[int]] = [[] for _ in range(n_slots)]
        self._cancelled = threading.Event()

    def forward(self, batch: Sequence[Chunk]) -> list[Logits | None]:
        self.log.append(list(batch))
        self._cancelled.clear()
        before = [list(ids) for ids in self._slots]
        try:
            return [self._run_drafted(c) if c.n_drafted else self._run(c) for c in batch]
        except Cancelled:
            self._slots = before
            raise

    def copy(self, source: int, target: int, n: int) -> None:
        assert n <= len(self._slots[source])
        self._slots[target] = self._slots[source][:n]

    def take(self, slot: int, start: int, n: int) -> bytes:
        assert start + n <= len(self._slots[slot])
        return np.array(self._slots[slot][start : start + n], np.int32).tobytes()

    def put(self, slot: int, start: int, n: int, piece: bytes) -> None:
        assert start <= len(self._slots[slot])
        if len(piece) != 4 * n:
            raise ValueError("a piece of another length")
        self._slots[slot][start:] = np.frombuffer(piece, np.int32).tolist()

    def cancel(self) -> None:
        self._cancelled.set()

    def close(self) -> None:
        self._slots = []

    def _run_drafted(self, chunk: Chunk) -> Logits:
        n = len(chunk.tokens) - chunk.n_drafted
        ends = range(n, len(chunk.tokens) + 1)
        rows = [self._run(Chunk(chunk.slot, chunk.start, chunk.tokens[:e], True)) for e in ends]  # noqa: FBT003  the field says it
        return np.array(rows)

    def _run(self, chunk: Chunk) -> Logits | None:
        held = self._slots[chunk.slot]
        assert chunk.tokens, "an empty chunk"
        assert 0 <= chunk.start <= len(held), "a chunk that starts behind what the slot holds"
        assert chunk.start + len(chunk.tokens) <= self.limits.n_ctx, "a chunk beyond the context"
        held[chunk.start :] = chunk.tokens
        message, answer, n_said = self._state(held)
        is_prompt = n_said == 0
        self._pause(self._script.prompt_delay_s if is_prompt else self._script.token_delay_s)
        if self._script.when in message:
            self._break(n_said)
        if not chunk.want_logits:
            return None
        logits = np.zeros(N_VOCAB, dtype=np.float32)
        logits[answer[n_said] if n_said < len(answer) else END] = SURE
        if n_said == self._script.nan_after and self._script.when in message:
            logits[:] = np.nan
        return logits

    def _state(self, ids: list[int]) -> tuple[str, bytes, int]:
        """The last user message, the whole answer to it, and how much of it is said already."""
        header = _last(ids, _ANSWER_HEADER)
        if header < 0:  # plain completion: said is what the text ends with
            answer = self._reply("").encode()
            ends = (n for n in range(len(answer), 0, -1) if ids[-n:] == list(answer[:n]))
            return "", answer, next(ends, 0)
        message = _message(ids[:header])
        said = ids[header + len(_ANSWER_HEADER) :]
        return message, self._reply(message).encode(), len(said)

    def _pause(self, seconds: float) -> None:
        if (seconds and self._cancelled.wait(seconds)) or self._cancelled.is_set():
            raise Cancelled

    def _break(self, n_said: int) -> None:
        if n_said == self._script.crash_after:
            os.kill(os.getpid(), signal.Signals[self._script.signal])
        if n_said == self._script.hang_after:
            threading.Event().wait(_TIME_LIMIT_S)
        if n_said == self._script.fail_after:
            raise RuntimeError("the script says: fail")


def _last(ids: list[int], part: list[int]) -> int:
    """Where part stands last in ids, or -1."""
    starts = range(len(ids) - len(part), -1, -1)
    return next((i for i in starts if ids[i : i + len(part)] == part), -1)


def _message(ids: list[int]) -> str:
    """The content of the last turn, which is the user's."""
    start = _last(ids, [START])
    turn = bytes(token for token in ids[start + 1 :] if token < END_OF_TEXT)
    _, _, content = turn.partition(b"\n")
    return content.decode("utf-8", "replace").removesuffix("\n")
