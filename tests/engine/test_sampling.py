"""The reference sampler does what Transformers does, and what its rules say."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwell.core import Sampling
from qwell.engine.sampling import Floats, History, Rules, adjust, best, candidates, logprobs, sample

N_VOCAB = 50


def rules(**values: object) -> Rules:
    return Rules.of(Sampling(**values), {})  # type: ignore[arg-type]


def random_logits(seed: int) -> Floats:
    return np.random.default_rng(seed).normal(0, 4, N_VOCAB).astype(np.float32)


def draw(logits: Floats, seed: int, n: int, **values: object) -> list[int]:
    rng = np.random.default_rng(seed)
    return [sample(logits, rules(**values), History(N_VOCAB, []), rng) for _ in range(n)]


@given(st.integers(0, 99), st.integers(1, 3000), st.integers(1, 60), st.booleans())
def test_best_finds_the_largest_in_order(seed: int, n: int, k: int, has_ties: bool) -> None:
    values = np.random.default_rng(seed).normal(0, 2, n).astype(np.float32)
    values = values.round() if has_ties else values
    found = best(values, k)
    assert len(set(found.tolist())) == min(k, n)
    np.testing.assert_array_equal(values[found], np.sort(values)[::-1][:k])


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


def test_greedy_takes_the_best() -> None:
    logits = random_logits(1)
    assert draw(logits, 0, 3, temperature=0) == [int(logits.argmax())] * 3


def test_equal_seeds_give_equal_tokens_and_others_differ() -> None:
    logits = random_logits(2)
    assert draw(logits, 7, 40, temperature=1.5) == draw(logits, 7, 40, temperature=1.5)
    assert draw(logits, 7, 40, temperature=1.5) != draw(logits, 8, 40, temperature=1.5)


def test_drawn_frequencies_follow_the_probabilities() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.2], dtype=np.float32))
    rng = np.random.default_rng(0)
    history = History(3, [])
    drawn = [sample(logits, rules(temperature=1), history, rng) for _ in range(4000)]
    shares = np.bincount(drawn, minlength=3) / 4000
    assert np.abs(shares - [0.5, 0.3, 0.2]).max() < 0.03


RULES = st.builds(
    Sampling,
    temperature=st.floats(0.1, 2),
    top_k=st.integers(0, N_VOCAB),
    top_p=st.floats(0.05, 1),
    min_p=st.floats(0, 0.5),
    repetition_penalty=st.floats(0.8, 1.5),
).map(lambda sampling: Rules.of(sampling, {}))


@given(st.integers(0, 1000), st.lists(st.integers(0, N_VOCAB - 1), max_size=20), RULES)
def test_candidates_are_a_valid_distribution_over_the_best(
    seed: int, seen: list[int], chosen: Rules
) -> None:
    adjusted = adjust(random_logits(seed), chosen, History(N_VOCAB, seen))
    tokens, probs = candidates(adjusted, chosen)
    assert len(tokens) == len(set(tokens.tolist())) <= (chosen.top_k or N_VOCAB)
    assert probs.sum() == pytest.approx(1)
    assert (np.diff(probs) <= 0).all()
    rejected = np.delete(adjusted, tokens)
    assert rejected.size == 0 or rejected.max() <= adjusted[tokens].min()


@pytest.mark.parametrize("seed", range(8))
def test_probabilities_equal_those_of_transformers(seed: int) -> None:
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
    adjusted = adjust(random_logits(seed), chosen, History(N_VOCAB, prompt))
    tokens, probs = candidates(adjusted, chosen)
    ours = np.zeros(N_VOCAB)
    ours[tokens] = probs
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def spread(history: History, tokens: Sequence[int]) -> History:
    for token in tokens:
        history.note(token)
    return history


def test_presence_and_frequency_look_at_the_answer_only() -> None:
    history = spread(History(4, [0, 0]), [1, 1, 2])
    logits = np.zeros(4, dtype=np.float32)
    chosen = rules(presence_penalty=0.5, frequency_penalty=0.25)
    np.testing.assert_allclose(adjust(logits, chosen, history), [0, -1.0, -0.75, 0])


def test_repetition_penalty_weakens_both_signs() -> None:
    logits = np.array([2, -2, 2, -2], dtype=np.float32)
    adjusted = adjust(logits, rules(repetition_penalty=2.0), History(4, [0, 1]))
    np.testing.assert_allclose(adjusted, [1, -4, 2, -2])


def test_a_bias_can_force_and_forbid_and_may_name_no_token() -> None:
    logits = random_logits(3)
    best = int(logits.argmax())
    bias = {best: -100.0, 7: 100.0, 10**6: 1.0, -1: 1.0}
    assert draw(logits, 0, 5, temperature=1, logit_bias=bias) == [7] * 5


def test_logits_are_left_as_they_were() -> None:
    logits = random_logits(4)
    before = logits.copy()
    draw(logits, 0, 3, temperature=1, repetition_penalty=2.0, logit_bias={1: 3.0})
    np.testing.assert_array_equal(logits, before)


def test_logprobs_are_those_of_the_model() -> None:
    logits = np.log(np.array([0.1, 0.6, 0.3], dtype=np.float32)) + 5
    own, best = logprobs(logits, 0, 2)
    assert own == pytest.approx(np.log(0.1), abs=1e-6)
    assert [token for token, _ in best] == [1, 2]
    assert np.exp([value for _, value in best]) == pytest.approx([0.6, 0.3], abs=1e-6)
    assert logprobs(logits, 0, 0)[1] == []
