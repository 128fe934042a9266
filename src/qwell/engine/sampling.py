"""From logits to one token: the reference sampler, in numpy.

The order of the steps is that of Hugging Face Transformers, so that equal settings give equal
probabilities. Knows nothing of sequences and of text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qwell.core import Sampling

Floats = NDArray[np.float32]  # (n_vocab,)
_ROWS = 64


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


class History:
    """Which tokens a sequence holds, for the penalties.

    seen    prompt and answer: what repetition_penalty looks at
    counts  answer only: what presence_penalty and frequency_penalty look at
    """

    def __init__(self, n_vocab: int, prompt: list[int]) -> None:
        self.seen = np.zeros(n_vocab, dtype=bool)
        self.seen[prompt] = True
        self.counts: dict[int, int] = {}

    def note(self, token: int) -> None:
        self.seen[token] = True
        self.counts[token] = self.counts.get(token, 0) + 1


def adjust(logits: Floats, rules: Rules, history: History) -> Floats:
    """A copy with bias and penalties applied. Does not modify logits."""
    adjusted = logits.copy()
    if rules.repetition_penalty != 1.0:
        seen = np.flatnonzero(history.seen)
        values = adjusted[seen]
        weaker = np.where(values > 0, 1 / rules.repetition_penalty, rules.repetition_penalty)
        adjusted[seen] = values * weaker
    if history.counts and (rules.presence_penalty or rules.frequency_penalty):
        used = np.fromiter(history.counts, dtype=np.int64)
        times = np.fromiter(history.counts.values(), dtype=np.float32)
        adjusted[used] -= rules.presence_penalty + rules.frequency_penalty * times
    for token, bias in rules.logit_bias.items():
        if 0 <= token < len(adjusted):
            adjusted[token] += bias
    return adjusted


def best(values: Floats, k: int) -> NDArray[np.intp]:
    """Indices of the k largest values, largest first; all of them when there are fewer.

    A full partition of the vocabulary costs as much as a layer of the model. The k largest
    among the maxima of columns are k values; what is below the least of them is not wanted.
    """
    n_columns = len(values) // _ROWS
    if n_columns > k:
        maxima = values[: n_columns * _ROWS].reshape(_ROWS, n_columns).max(axis=0)
        least = np.partition(maxima, n_columns - k)[n_columns - k]
        some = np.flatnonzero(values >= least)
    else:
        some = np.arange(len(values))
    return some[np.argsort(-values[some], kind="stable")][:k]


def candidates(adjusted: Floats, rules: Rules) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Tokens that may come next and their probabilities, best first. Needs temperature > 0."""
    tokens = best(adjusted, rules.top_k or len(adjusted))
    scaled = adjusted[tokens].astype(np.float64) / rules.temperature
    weights = np.exp(scaled - scaled[0])
    probs = weights / weights.sum()
    keep = np.cumsum(probs) - probs < rules.top_p  # a token stays while those before it fall short
    keep &= probs >= rules.min_p * probs[0]
    keep[0] = True
    return tokens[keep], probs[keep] / probs[keep].sum()


def sample(logits: Floats, rules: Rules, history: History, rng: np.random.Generator) -> int:
    """The next token. Equal logits, rules, history and generator state give an equal token."""
    adjusted = adjust(logits, rules, history)
    if rules.temperature == 0 or rules.top_k == 1:
        return int(adjusted.argmax())
    tokens, probs = candidates(adjusted, rules)
    drawn = int(np.searchsorted(np.cumsum(probs), rng.random(), side="right"))
    return int(tokens[min(drawn, len(tokens) - 1)])  # the sum may round to just below 1


def logprobs(logits: Floats, token: int, n_best: int) -> tuple[float, list[tuple[int, float]]]:
    """Natural logprobs under the model itself, before any rule: of token, and of the n best."""
    wide = logits.astype(np.float64)
    top = wide.max()
    base = top + np.log(np.exp(wide - top).sum())
    chosen = best(logits, n_best) if n_best else ()
    return float(wide[token] - base), [(int(t), float(wide[t] - base)) for t in chosen]
