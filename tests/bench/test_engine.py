"""The bench measures what it says, on a random tiny model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qwell.bench.divergence import mean_kl
from qwell.bench.engine import BATCHES, OwnEngine, Samples, long_prompt
from qwell.cli.bench import report
from qwell.weights.tiny import write_tiny_pack


@pytest.fixture
def engine(tmp_path: Path) -> OwnEngine:
    path = tmp_path / "tiny.qpack"
    write_tiny_pack(path, n_vocab=1280, seed=1)
    return OwnEngine(path, 1)


def test_a_round_fills_every_figure(engine: OwnEngine) -> None:
    samples = Samples()
    engine.sample(samples)
    figures = samples.medians()
    assert figures["decode_tok_s"] > 0
    assert figures["read_gb_s"] > 0.1
    assert figures["roofline"] > 0
    assert figures["prefill_tok_s"] > 0
    assert set(figures["ttft_ms"]) == {"26", "512"}
    assert set(figures["batch"]) == {str(n) for n in BATCHES}


def test_the_roofline_is_what_memory_gives_around_each_slice(
    engine: OwnEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings, speeds = iter([10.0, *[20.0, 10.0] * 4]), iter([100.0, 200.0] * 4)
    monkeypatch.setattr(engine, "_read_gb_s", lambda: next(readings))
    monkeypatch.setattr(engine, "decode", lambda n: next(speeds))
    samples = Samples()
    engine._sample_roofline(samples)
    gb = engine.model.bytes_per_token / 1e9
    assert samples.read_gb_s == [15.0] * 8
    assert samples.roofline == pytest.approx([100 * gb / 15, 200 * gb / 15] * 4)


def test_facts_fit_the_model(engine: OwnEngine) -> None:
    facts = engine.facts()
    assert 0 < facts["bytes_per_token"] < 2e6
    assert set(facts["phases_ms"]) >= {"qkv", "attention", "o", "gate_up", "down", "head"}
    assert all(0 <= waiting <= ms for ms, waiting in facts["phases_ms"].values())


def test_choosing_a_token_is_measured(engine: OwnEngine) -> None:
    costs = engine.sampling()
    assert set(costs) == {"greedy_us", "sample_us", "grammar_us"}
    assert min(costs.values()) > 0


def test_the_long_prompt_is_always_the_same() -> None:
    assert long_prompt(151_936) == long_prompt(151_936)
    assert max(long_prompt(151_936)) < 100_000


def test_kl_of_equal_and_of_shifted_logits_is_zero() -> None:
    logits = np.random.default_rng(0).normal(size=(3, 50))
    assert mean_kl(logits, logits + 5) == pytest.approx(0, abs=1e-12)


def test_kl_of_two_known_distributions() -> None:
    p, q = np.log([[0.5, 0.5]]), np.log([[0.9, 0.1]])
    expected = 0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1)
    assert mean_kl(p, q) == pytest.approx(expected)


def test_the_report_names_ratio_and_what_is_missing() -> None:
    result = {
        "machine": {"cpu": "a CPU", "threads": 2, "isa": "avx2"},
        "model": {"name": "m", "source": "m.gguf"},
        "quant": "q5",
        "quant_why": "auto: because",
        "decode_tok_s": 60.0,
        "prefill_tok_s": 300.0,
        "ttft_ms": {"26": 80.0},
        "batch": {"8": 200.0},
        "bytes_per_token": 340e6,
        "read_gb_s": 30.0,
        "roofline": 0.68,
        "phases_ms": {"qkv": (1.5, 0.25)},
        "load_s": 0.3,
        "sampling": {"greedy_us": 50.0, "sample_us": 100.0, "grammar_us": 500.0},
        "growth": {"decode_ms": [(100, 12.0), (8000, 18.0)], "read_s": [(8000, 30.0)]},
        "serving": {
            "start_to_first_token_s": 1.5,
            "rss_mb": 550.0,
            "pause": {"longest_ms": 140.0, "alone_ms": 34.0},
            "turns": {"first_ms": 100.0, "last_ms": 120.0},
            "rest_ms": {"answering": 90.0, "reading": 120.0},
            "overhead": {"share": 0.021, "server_ms": 0.08},
        },
        "lookup": {"novel": 1.0},
        "kl": None,
        "peers": [
            {
                "name": "p",
                "version": "1",
                "weights": "int4",
                "model": "m",
                "decode_tok_s": 30,
                "prefill_tok_s": 100,
            }
        ],
        "missing": ["q did not start"],
    }
    text = "\n".join(report(result))
    assert "p (1; int4): decode 30.0, prefill 100.0 tok/s; we are 2.00x and 3.00x" in text
    assert "500 us a token in a JSON schema: 3.0% of a step" in text
    assert "qkv               1.50 ms a token, 0.25 of it waiting" in text
    assert "weights: auto: because" in text
    assert "1.50 times as much at 8000 tokens as at 100" in text
    assert "550 MB with 4,096 tokens" in text
    assert "140 ms while another prompt is read, 34 else" in text
    assert "2.1% more time a token than the engine alone" in text
    assert "not measured: q did not start" in text
