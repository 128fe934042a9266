"""Transformers' generate() as a source of logits: one call runs as long as one answer.

The engine picks the tokens, as with every backend: generate() stops in its logits processor,
hands over what the model says of the next token, and goes on with the token that it is given.
Its streamer reports each token that it has taken. Knows nothing of slots.
"""

from __future__ import annotations

import queue
from concurrent.futures import Executor
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList
from transformers.generation.streamers import BaseStreamer

from qwell.backends import Logits


class _Ended(Exception):  # noqa: N818  control flow: unwinds generate()
    """The answer has ended, or goes on elsewhere."""


class _Handover(LogitsProcessor):
    """Gives logits out and lets only the token pass that comes back."""

    def __init__(self) -> None:
        self.logits: queue.SimpleQueue[Logits | BaseException] = queue.SimpleQueue()
        self.tokens: queue.SimpleQueue[int | None] = queue.SimpleQueue()

    def __call__(self, _ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """scores: (1, n_vocab)."""
        self.logits.put(scores[0].float().numpy().copy())
        token = self.tokens.get()
        if token is None:
            raise _Ended
        only = torch.full_like(scores, float("-inf"))
        only[0, token] = 0.0
        return only


class _Streamer(BaseStreamer):
    """Keeps the tokens that generate() has taken; the first call brings the prompt."""

    def __init__(self) -> None:
        self.taken: list[int] = []

    def put(self, value: torch.Tensor) -> None:
        self.taken += value.flatten().tolist()

    def end(self) -> None:
        """Nobody waits for it: the engine knows when an answer ends."""


class Generation:
    """One call of generate() on a thread of executor, from its prompt on.

    ids     the whole prompt; cache holds a beginning of it, or is None: compute everything anew
            for every token (use_cache off)
    n_most  tokens that may follow
    """

    def __init__(
        self, model: Any, executor: Executor, ids: list[int], cache: Any, n_most: int
    ) -> None:
        self._handover = _Handover()
        self._streamer = _Streamer()
        self._call = executor.submit(self._run, model, ids, cache, n_most)
        self._prompt = ids

    @property
    def ids(self) -> list[int]:
        """Prompt and the tokens taken since."""
        return self._streamer.taken or self._prompt

    def logits(self) -> Logits:
        """What the model says of the next token. Raises whatever the model raised."""
        found = self._handover.logits.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def push(self, token: int) -> Logits:
        """Go on with this token."""
        self._handover.tokens.put(token)
        return self.logits()

    def close(self) -> None:
        """End the call. The cache holds what it had computed."""
        self._handover.tokens.put(None)
        self._call.result()

    def _run(self, model: Any, ids: list[int], cache: Any, n_most: int) -> None:
        config = GenerationConfig(  # type: ignore[no-untyped-call]  # the package's own
            max_new_tokens=n_most,
            do_sample=False,  # of the one token that is left
            use_cache=cache is not None,
            eos_token_id=None,  # the engine knows what ends an answer
            pad_token_id=0,
        )
        try:
            with torch.inference_mode():
                model.generate(
                    torch.tensor([ids]),
                    generation_config=config,
                    logits_processor=LogitsProcessorList([self._handover]),
                    streamer=self._streamer,
                    **({} if cache is None else {"past_key_values": cache}),
                )
        except _Ended:
            return
        except Exception as error:  # noqa: BLE001  raised again where the logits are waited for
            self._handover.logits.put(error)
