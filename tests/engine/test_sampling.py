"""The engine's sampler equals its definition here, which does what Transformers does."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qwell import _native
from qwell.core import Sampling
from qwell.engine.sampling import (
    FORBIDDEN,
    NOT_FINITE,
    Contenders,
    Rules,
    logprobs,
    new_sampler,
)
from qwell.errors import QwellError

Floats = NDArray[np.float32]  # (n_vocab,)
N_VOCAB = 50

# -- the definition: slow and plain on purpose

_MASK64 = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15


def _mixed(x: int) -> int:
    """The finalizer of SplitMix64."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK64
    return x ^ (x >> 31)


def uniform(seed: int, index: int) -> float:
    """Number `index` of a seed's stream, in [0, 1)."""
    return (_mixed((_mixed(seed) + (index + 1) * _GOLDEN) & _MASK64) >> 11) * 2.0**-53


def adjust(
    logits: Floats, rules: Rules, prompt: Iterable[int] = (), answer: Iterable[int] = ()
) -> Floats:
    """A copy with penalties and bias applied. Does not modify logits."""
    adjusted = logits.copy()
    answer = list(answer)
    for token in {*prompt, *answer}:
        value, penalty = adjusted[token], np.float32(rules.repetition_penalty)
        adjusted[token] = value / penalty if value > 0 else value * penalty
    for token in set(answer):
        times = np.float32(answer.count(token))
        frequency = np.float32(rules.frequency_penalty) * times
        adjusted[token] -= np.float32(rules.presence_penalty) + frequency
    for token, bias in rules.logit_bias.items():
        if 0 <= token < len(adjusted):
            adjusted[token] += np.float32(bias)
    return adjusted


def candidates(adjusted: Floats, rules: Rules) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Tokens that may come next and their probabilities, best first. Needs temperature > 0."""
    order = np.argsort(-adjusted, kind="stable")
    tokens = order[np.isfinite(adjusted[order])][: rules.top_k or None]
    scaled = adjusted[tokens].astype(np.float64) / rules.temperature
    weights = np.exp(scaled - scaled[0])
    probs = weights / weights.sum()
    keep = np.cumsum(probs) - probs < rules.top_p  # a token stays while those before it fall short
    keep &= probs >= rules.min_p * probs[0]
    keep[0] = True
    return tokens[keep], probs[keep] / probs[keep].sum()


def drawn(adjusted: Floats, rules: Rules, u: float) -> int:
    """The token that the number u in [0, 1) picks."""
    if rules.temperature == 0 or rules.top_k == 1:
        return int(adjusted.argmax())
    tokens, probs = candidates(adjusted, rules)
    at = int(np.searchsorted(np.cumsum(probs), u, side="right"))
    return int(tokens[min(at, len(tokens) - 1)])  # the sum may round to just below 1


def defined_logprobs(logits: Floats) -> NDArray[np.float64]:
    """Natural logarithms of all probabilities under the model itself."""
    wide = logits.astype(np.float64)
    return wide - wide.max() - np.log(np.exp(wide - wide.max()).sum())


# -- the rules


def rules(**values: object) -> Rules:
    return Rules.of(Sampling(**values), {})  # type: ignore[arg-type]


def random_logits(seed: int, n: int = N_VOCAB, spread: float = 4) -> Floats:
    return np.random.default_rng(seed).normal(0, spread, n).astype(np.float32)


def draw(logits: Floats, seed: int, n: int, **values: object) -> list[int]:
    """n tokens in a row from the same logits; they count for the penalties."""
    sampler = new_sampler(rules(**values), len(logits), [], seed)
    tokens = []
    for _ in range(n):
        tokens.append(sampler.next(logits))
        sampler.note(tokens[-1])
    return tokens


def test_what_the_request_leaves_open_comes_from_the_model() -> None:
    config = {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.1}
    chosen = Rules.of(Sampling(top_k=5), config)
    assert (chosen.temperature, chosen.top_p, chosen.top_k) == (0.7, 0.8, 5)
    assert chosen.repetition_penalty == 1.1
    assert chosen.min_p == 0


def test_a_model_that_does_not_sample_is_greedy_until_asked() -> None:
    config = {"do_sample": False, "temperature": 0.7}
    assert Rules.of(Sampling(), config).temperature == 0
    assert Rules.of(Sampling(temperature=0.5), config).temperature == 0.5


# -- equality

RULES = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.3, 0.7, 1.0, 2.0]),
    top_k=st.sampled_from([0, 1, 5, 20, 100, 10_000]),
    top_p=st.sampled_from([0.05, 0.5, 0.8, 0.95, 1.0]),
    min_p=st.sampled_from([0.0, 0.02, 0.3]),
    repetition_penalty=st.sampled_from([0.8, 1.0, 1.1, 1.5]),
    presence_penalty=st.sampled_from([-1.0, 0.0, 0.5]),
    frequency_penalty=st.sampled_from([0.0, 0.25, 2.0]),
    logit_bias=st.dictionaries(st.integers(-1, 4000), st.floats(-100, 100), max_size=4),
).map(lambda sampling: Rules.of(sampling, {}))


def is_clear(adjusted: Floats, chosen: Rules, u: float) -> bool:
    """Whether float32 sums cannot change the token: no bound lies within their error."""
    error = 1e-5
    around = (u - error, u + error)
    return len({drawn(adjusted, chosen, min(max(v, 0.0), 1 - 1e-9)) for v in around}) == 1


@settings(max_examples=500, deadline=None)
@given(
    seed=st.integers(0, 2**64 - 1),
    n=st.sampled_from([1, 2, 31, 64, 65, 200, 5000]),
    spread=st.sampled_from([0.1, 2.0, 8.0]),
    isa=st.sampled_from(["portable", "auto"]),
    chosen=RULES,
    prompt=st.lists(st.integers(0, 4999), max_size=20),
    mask=st.sampled_from(["none", "half", "few"]),
)
def test_it_equals_the_definition(
    *, seed: int, n: int, spread: float, isa: str, chosen: Rules, prompt: list[int], mask: str
) -> None:
    prompt = [token % n for token in prompt]
    logits = random_logits(seed % 2**32, n, spread)
    before = logits.copy()
    allowed = None
    shown = logits
    if mask != "none":
        some = np.random.default_rng(seed).random(n) < (0.5 if mask == "half" else 0.02)
        assume(some.any())
        packed = np.packbits(some, bitorder="little")
        allowed = np.pad(packed, (0, -len(packed) % 4)).view(np.uint32)
        shown = np.where(some, logits, -np.float32(np.inf))
    sampler = _native.Sampler(
        n, np.array(prompt, np.int32), seed,
        chosen.temperature, chosen.top_k, chosen.top_p, chosen.min_p, chosen.repetition_penalty,
        chosen.presence_penalty, chosen.frequency_penalty, list(chosen.logit_bias.items()), isa,
    )  # fmt: skip
    answer: list[int] = []
    for i in range(4):
        adjusted = adjust(shown, chosen, prompt, answer)
        token = sampler.next(logits, allowed)
        u = uniform(seed, i)
        if is_clear(adjusted, chosen, u):
            assert token == drawn(adjusted, chosen, u)
        sampler.note(token)
        answer.append(token)
    np.testing.assert_array_equal(logits, before)


def known_from(logits: Floats, contenders: Contenders, n_drafted: int) -> float:
    """The logit from which on a backend must know the tokens."""
    choice = contenders.choice(n_drafted)
    if choice is None:
        return float(-np.inf)
    everything = np.full(-(-len(logits) // 32), 0xFFFFFFFF, np.uint32)
    bits = everything if choice.contenders is None else choice.contenders
    contends = np.unpackbits(bits.view(np.uint8), bitorder="little")[: len(logits)]
    best = np.sort(logits[contends.astype(bool)])[::-1]
    return float(best[choice.n_best - 1]) if choice.n_best <= len(best) else float(-np.inf)


@settings(max_examples=500, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([2, 31, 64, 65, 200]),
    chosen=RULES,
    prompt=st.lists(st.integers(0, 199), max_size=20),
    n_drafted=st.integers(0, 3),
)
def test_a_token_that_no_choice_names_is_never_drawn(
    seed: int, n: int, chosen: Rules, prompt: list[int], n_drafted: int
) -> None:
    """What lies below the last contender may be any lower guess, also after guessed tokens."""
    prompt = [token % n for token in prompt]
    logits = random_logits(seed, n)
    contenders = Contenders(chosen, n, prompt)
    known, guessed = (new_sampler(chosen, n, prompt, seed) for _ in range(2))
    for _ in range(4):
        known_above = known_from(logits, contenders, n_drafted)
        lower = np.random.default_rng(seed).uniform(0, 5, n).astype(np.float32)
        guesses = np.where(logits < known_above, logits - lower, logits)
        drawn_in_a_row = []
        for _ in range(1 + n_drafted):
            token = known.next(logits)
            assert guessed.next(guesses) == token
            known.note(token)
            guessed.note(token)
            drawn_in_a_row.append(token)
        for token in drawn_in_a_row:
            contenders.note(token)


@pytest.mark.parametrize(
    ("values", "n_best"),
    [
        ({"temperature": 0}, 1),
        ({"temperature": 0.7, "top_k": 20, "repetition_penalty": 1.1}, 20),
        ({"temperature": 1}, None),
        ({"temperature": 1, "top_k": -1}, None),
        ({"temperature": 0, "logit_bias": {3: 5.0}}, None),
        ({"temperature": 0, "repetition_penalty": 0.9}, None),
        ({"temperature": 0, "presence_penalty": -1}, None),
    ],
)
def test_how_many_must_be_known_follows_from_the_rules(
    values: dict[str, object], n_best: int | None
) -> None:
    choice = Contenders(rules(**values), N_VOCAB, [7]).choice()
    assert (choice and choice.n_best) == n_best


def test_what_a_penalty_has_lowered_is_no_contender() -> None:
    contenders = Contenders(rules(top_k=5, repetition_penalty=1.1), N_VOCAB, [0, 33, 10**6])
    contenders.note(49)
    choice = contenders.choice(2)
    assert choice is not None
    assert choice.n_best == 7
    assert choice.contenders is not None
    assert [f"{word:032b}".count("0") for word in choice.contenders] == [1, 2]
    answer_only = Contenders(rules(top_k=5, presence_penalty=1), N_VOCAB, [0])
    answer_only.note(1)
    [first, _] = answer_only.choice().contenders  # type: ignore[union-attr, misc]
    assert first == 0xFFFFFFFD


@given(st.integers(0, 1000), st.sampled_from([1, 3, 64, 5000]), st.integers(0, 25))
def test_logprobs_equal_the_definition(seed: int, n: int, n_best: int) -> None:
    logits = random_logits(seed, n)
    expected = defined_logprobs(logits)
    token = seed % n
    own, best = logprobs(logits, token, n_best)
    assert own == pytest.approx(expected[token], abs=2e-6)
    order = np.argsort(-logits, kind="stable")[:n_best]
    assert [token for token, _ in best] == order.tolist()
    assert [value for _, value in best] == pytest.approx(expected[order].tolist(), abs=2e-6)


@pytest.mark.parametrize("seed", range(8))
def test_the_definition_has_the_probabilities_of_transformers(seed: int) -> None:
    torch = pytest.importorskip("torch")
    generation = pytest.importorskip("transformers.generation.logits_process")
    prompt = [1, 2, 3, 3, 40]
    chosen = rules(temperature=0.7, top_k=20, top_p=0.8, min_p=0.02, repetition_penalty=1.1)
    scores = torch.from_numpy(random_logits(seed))[None]
    for step in (
        generation.RepetitionPenaltyLogitsProcessor(1.1),
        generation.TemperatureLogitsWarper(0.7),
        generation.TopKLogitsWarper(20),
        generation.TopPLogitsWarper(0.8),
        generation.MinPLogitsWarper(0.02),
    ):
        scores = step(torch.tensor([prompt]), scores)
    expected = torch.softmax(scores[0], dim=-1).numpy()
    adjusted = adjust(random_logits(seed), chosen, prompt)
    tokens, probs = candidates(adjusted, chosen)
    ours = np.zeros(N_VOCAB)
    ours[tokens] = probs
    np.testing.assert_allclose(ours, expected, atol=1e-6)


# -- what users rely on


def test_greedy_takes_the_best() -> None:
    logits = random_logits(1)
    assert draw(logits, 0, 3, temperature=0) == [int(logits.argmax())] * 3


def test_equal_seeds_give_equal_tokens_and_others_differ() -> None:
    logits = random_logits(2)
    assert draw(logits, 7, 40, temperature=1.5) == draw(logits, 7, 40, temperature=1.5)
    assert draw(logits, 7, 40, temperature=1.5) != draw(logits, 8, 40, temperature=1.5)
    assert draw(logits, -1, 3, temperature=1.5) == draw(logits, 2**64 - 1, 3, temperature=1.5)


def test_without_a_seed_answers_differ() -> None:
    logits = np.zeros(1000, np.float32)
    drawn = {new_sampler(rules(temperature=1), 1000, [], None).next(logits) for _ in range(8)}
    assert len(drawn) > 1


def test_drawn_frequencies_follow_the_probabilities() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.2], dtype=np.float32))
    drawn = draw(logits, 0, 4000, temperature=1)
    shares = np.bincount(drawn, minlength=3) / 4000
    assert np.abs(shares - [0.5, 0.3, 0.2]).max() < 0.03


def test_presence_and_frequency_look_at_the_answer_only() -> None:
    logits = np.zeros(4, dtype=np.float32)
    chosen = rules(presence_penalty=0.5, frequency_penalty=0.25)
    adjusted = adjust(logits, chosen, [0, 0], [1, 1, 2])
    np.testing.assert_allclose(adjusted, [0, -1.0, -0.75, 0])


def test_repetition_penalty_weakens_both_signs() -> None:
    logits = np.array([2, -2, 2, -2], dtype=np.float32)
    adjusted = adjust(logits, rules(repetition_penalty=2.0), [0, 1])
    np.testing.assert_allclose(adjusted, [1, -4, 2, -2])


def test_a_bias_can_force_and_forbid_and_may_name_no_token() -> None:
    logits = random_logits(3)
    best = int(logits.argmax())
    bias = {best: -100.0, 7: 100.0, 10**6: 1.0, -1: 1.0}
    assert draw(logits, 0, 5, temperature=1, logit_bias=bias) == [7] * 5


# -- what must not happen


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 17, 49])
def test_what_is_no_number_is_never_drawn_from(bad: float, at: int) -> None:
    logits = random_logits(5)
    logits[at] = bad
    assert new_sampler(rules(temperature=0), N_VOCAB, [], 0).next(logits) == NOT_FINITE
    assert new_sampler(rules(temperature=1), N_VOCAB, [], 0).next(logits) == NOT_FINITE


def test_a_mask_without_a_token_is_told() -> None:
    sampler = new_sampler(rules(), N_VOCAB, [], 0)
    assert sampler.next(random_logits(6), np.zeros(2, np.uint32)) == FORBIDDEN


def test_arrays_of_the_wrong_length_are_refused() -> None:
    sampler = new_sampler(rules(), N_VOCAB, [], 0)
    with pytest.raises(ValueError, match="wrong length"):
        sampler.next(random_logits(6, 49))
    with pytest.raises(ValueError, match="wrong length"):
        sampler.next(random_logits(6), np.zeros(1, np.uint32))
    with pytest.raises(ValueError, match="out of range"):
        sampler.note(N_VOCAB)
    with pytest.raises(ValueError, match="out of range"):
        _native.logprobs(random_logits(6), N_VOCAB)


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": float("nan")},
        {"repetition_penalty": 0.0},
        {"logit_bias": {1: float("inf")}},
        {"top_k": 2**40},
    ],
)
def test_settings_that_are_no_numbers_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(QwellError, match="sampling settings") as refused:
        new_sampler(rules(**values), N_VOCAB, [], 0)
    assert refused.value.fault == "invalid-request-body"
