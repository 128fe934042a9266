"""Masks over logits: nothing forbidden is ever drawn, whatever the sampler's settings."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwell.core import Sampling
from qwell.engine.constraint import Constraint, Grammars
from qwell.engine.sampling import Rules, new_sampler
from qwell.errors import QwellError
from qwell.text.grammar import answer_grammar
from qwell.worker.loading import scripted_text

TEXT = scripted_text()
N_VOCAB = 264  # models pad their vocabulary
GRAMMARS = Grammars(TEXT, N_VOCAB)
YES_OR_NO = answer_grammar(reply={"enum": ["yes", "no"]})


@settings(deadline=None)  # the first example loads what the others use
@given(
    seed=st.integers(0, 10_000),
    temperature=st.sampled_from([0.0, 0.7, 2.0]),
    top_k=st.sampled_from([0, 1, 20]),
    penalty=st.sampled_from([1.0, 2.0]),
    bias=st.dictionaries(st.integers(0, 258), st.floats(-100, 100), max_size=5),
)
def test_random_answers_follow_the_grammar(
    seed: int, temperature: float, top_k: int, penalty: float, bias: dict[int, float]
) -> None:
    rng = np.random.default_rng(seed)
    sampling = Sampling(temperature, top_k, 1.0, None, penalty, logit_bias=bias)
    sampler = new_sampler(Rules.of(sampling, {}), N_VOCAB, list(range(N_VOCAB)), seed)
    constraint = GRAMMARS.constraint(YES_OR_NO)
    said: list[int] = []
    while not constraint.is_complete:
        logits = rng.normal(0, 20, N_VOCAB).astype(np.float32)
        said.append(sampler.next(logits, constraint.allowed()))
        sampler.note(said[-1])
        constraint.accept(said[-1])
    assert bytes(said).decode() in ('"yes"', '"no"')


def is_allowed(constraint: Constraint, token: int) -> bool:
    return bool(constraint.allowed()[token // 32] >> token % 32 & 1)


def test_only_what_may_come_next_is_allowed() -> None:
    constraint = GRAMMARS.constraint(YES_OR_NO)
    assert [token for token in range(N_VOCAB) if is_allowed(constraint, token)] == [ord('"')]


def test_control_tokens_are_no_text() -> None:
    constraint = GRAMMARS.constraint(answer_grammar(reply={"type": "string"}))
    constraint.accept(ord('"'))
    assert not is_allowed(constraint, 257)
    assert is_allowed(constraint, ord("a"))


def test_without_the_parser_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(QwellError, match="pip install") as refused:
        Grammars(TEXT, N_VOCAB).constraint(YES_OR_NO)
    assert refused.value.fault == "python-module-missing"
