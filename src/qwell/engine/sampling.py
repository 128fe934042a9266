"""How one answer's tokens are chosen: rules from request and model, applied by native/sampler.cpp.

Knows nothing of sequences and of text.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qwell.backends import Choice, Logits
from qwell.backends.extension import extension
from qwell.core import Sampling
from qwell.errors import QwellError

if TYPE_CHECKING:
    from qwell._native import Sampler

NOT_FINITE = -1  # what Sampler.next answers where a logit is NaN or infinite
FORBIDDEN = -2  # where the mask allows no token


@dataclass(frozen=True, slots=True)
class Rules:
    """Sampling with every default filled in; the fields mean what they mean there."""

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repetition_penalty: float
    presence_penalty: float
    frequency_penalty: float
    logit_bias: Mapping[int, float]

    @classmethod
    def of(cls, sampling: Sampling, generation_config: Mapping[str, Any]) -> Rules:
        """What the request leaves open is taken from the model's generation_config."""

        def chosen(name: str, neutral: float) -> Any:
            own = getattr(sampling, name)
            given = generation_config.get(name) if own is None else own
            return neutral if given is None else given

        greedy = sampling.temperature is None and generation_config.get("do_sample") is False
        return cls(
            temperature=0.0 if greedy else chosen("temperature", 1.0),
            top_k=chosen("top_k", 0),
            top_p=chosen("top_p", 1.0),
            min_p=chosen("min_p", 0.0),
            repetition_penalty=chosen("repetition_penalty", 1.0),
            presence_penalty=sampling.presence_penalty,
            frequency_penalty=sampling.frequency_penalty,
            logit_bias=sampling.logit_bias,
        )


class Contenders:
    """What the sampler of one answer must know exactly of the next logits: see Choice.

    A penalty only lowers what was said before. So of the tokens that were not, as many must be
    known as can be drawn: whatever else is drawn is at least as likely.
    """

    def __init__(self, rules: Rules, n_vocab: int, prompt: list[int]) -> None:
        self._n_best = _n_best(rules)
        lowers_answer = rules.presence_penalty > 0 or rules.frequency_penalty > 0
        lowers = self._n_best > 0 and (lowers_answer or rules.repetition_penalty > 1)
        self._bits = np.full(-(-n_vocab // 32), 0xFFFFFFFF, np.uint32) if lowers else None
        self._n_vocab = n_vocab
        if rules.repetition_penalty > 1:
            for token in set(prompt):
                self.note(token)

    def note(self, token: int) -> None:
        """The answer goes on with this token."""
        if self._bits is not None and 0 <= token < self._n_vocab:
            self._bits[token >> 5] &= np.uint32(~(1 << (token & 31)) & 0xFFFFFFFF)

    def choice(self, n_drafted: int = 0) -> Choice | None:
        """For as many guessed tokens too, each of which may be no contender once it is said."""
        if self._n_best == 0:
            return None
        return Choice(self._n_best + (0 if self._bits is None else n_drafted), self._bits)


def _n_best(rules: Rules) -> int:
    """How many tokens can be drawn; 0 where that is not known before the probabilities are."""
    raises = min(rules.presence_penalty, rules.frequency_penalty, rules.repetition_penalty - 1) < 0
    if raises or rules.logit_bias:
        return 0
    return 1 if rules.temperature == 0 else max(0, rules.top_k)  # below 0: off, in some models


def new_sampler(rules: Rules, n_vocab: int, prompt: list[int], seed: int | None) -> Sampler:
    """The sampler of one answer. Equal arguments and logits give equal tokens, but for no seed.

    Raises QwellError shared-lib-missing, and invalid-request-body for rules that are no numbers.
    """
    native = extension()
    try:
        sampler: Sampler = native.Sampler(
            n_vocab,
            np.array(prompt, np.int32),
            secrets.randbits(64) if seed is None else seed % 2**64,
            rules.temperature,
            rules.top_k,
            rules.top_p,
            rules.min_p,
            rules.repetition_penalty,
            rules.presence_penalty,
            rules.frequency_penalty,
            list(rules.logit_bias.items()),
        )
    except (TypeError, ValueError) as error:
        raise QwellError(
            "invalid-request-body",
            found=f"sampling settings that cannot be used: {rules}",
            expected="finite numbers; a repetition penalty above 0",
            fix="leave the settings out, or take those of docs/api.md",
        ) from error
    return sampler


def logprobs(logits: Logits, token: int, n_best: int) -> tuple[float, list[tuple[int, float]]]:
    """Natural logprobs under the model itself, before any rule: of token, and of the n best."""
    own, best = extension().logprobs(logits, token, n_best)
    return own, best
