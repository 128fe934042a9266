"""What choosing a token costs beside computing it: sampler, grammar mask. Knows no peers.

Measured on logits of the real model, one token after the other as in an answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import mean

from qwell.backends import Logits
from qwell.core import Sampling
from qwell.engine.constraint import Constraint, Grammars
from qwell.engine.sampling import Rules, new_sampler
from qwell.text import Text
from qwell.text.grammar import answer_grammar

N_TOKENS = 64
SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 80},
        "year": {"type": "integer"},
        "kind": {"enum": ["book", "film", "song"]},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 9},
    },
    "required": ["title", "year", "kind", "tags"],
    "additionalProperties": False,
}
PROMPT = "<|im_start|>user\nDescribe a film as JSON.<|im_end|>\n<|im_start|>assistant\n"

Forward = Callable[[list[int], int], Logits]  # tokens, position of the first


def sampling_cost(forward: Forward, text: Text, n_vocab: int) -> dict[str, float]:
    """Mean microseconds a token: greedy, sampled by the model's own rules, and with a grammar."""
    greedy = Sampling(temperature=0, repetition_penalty=1)
    return {
        "greedy_us": _answer(forward, text, n_vocab, greedy, None),
        "sample_us": _answer(forward, text, n_vocab, Sampling(seed=1), None),
        "grammar_us": _answer(forward, text, n_vocab, Sampling(seed=1), _constraint(text, n_vocab)),
    }


def _constraint(text: Text, n_vocab: int) -> Constraint:
    grammar = answer_grammar(reply=SCHEMA)
    assert grammar
    return Grammars(text, n_vocab).constraint(grammar)


def _answer(
    forward: Forward, text: Text, n_vocab: int, sampling: Sampling, constraint: Constraint | None
) -> float:
    """Mean microseconds that choosing took, over an answer of at most N_TOKENS."""
    prompt = text.tokenizer.encode(PROMPT)
    rules = Rules.of(sampling, text.generation_config)
    sampler = new_sampler(rules, n_vocab, prompt, sampling.seed)
    logits, times = forward(prompt, 0), []
    for i in range(N_TOKENS):
        start = time.perf_counter()
        token = sampler.next(logits, constraint.allowed() if constraint else None)
        sampler.note(token)
        if constraint:
            constraint.accept(token)
        times.append(time.perf_counter() - start)
        if constraint and constraint.is_complete:
            break
        logits = forward([token], len(prompt) + i)
    return mean(times) * 1e6
