"""The native engine against Transformers in float32: the same numbers, the same words.

Tiny random models in every instruction set of this CPU, then the real weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qwell import _native, config
from qwell.backends.transformers import build_model, logits_of
from qwell.bench.divergence import TEXTS, mean_kl, native_logits
from qwell.core import Message
from qwell.text import Text
from qwell.weights import ensure_pack
from qwell.weights.dequantized import dequantized
from qwell.weights.pack import read_pack
from qwell.weights.tiny import write_tiny_pack

ISAS = ("portable", "avx2", "avx512vnni")
PROMPTS = (
    "What is the capital of France?",
    "Write a Python function that reverses a string.",
    "Explain how a bicycle stays upright.",
    "List three colours.",
    "How do I list files in Linux?",
    "Tell me a short story about a lighthouse keeper.",
    "中国的首都是哪里？",
    "用一句话解释什么是机器学习。",
    "写一首关于春天的短诗。",
    "如何在 Python 中读取一个文件？",
    "请列出三种水果。",
    "为什么天空是蓝色的？",
)


def build_oracle(pack: Path) -> Any:
    return build_model(read_pack(pack).meta["config"], dequantized(pack)).eval()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("quant", ["q8", "q5", "q4"])
def test_tiny_models_equal_transformers(tmp_path: Path, quant: str, isa: str) -> None:
    path = tmp_path / "tiny.qpack"
    write_tiny_pack(path, seed=3, quant=quant)
    try:
        model = _native.Model(str(path), 256, 1, 2, isa, huge_pages=False, precise=True)
    except RuntimeError as error:
        pytest.skip(str(error))
    ids = np.random.default_rng(1).integers(0, model.n_vocab, 100).astype(np.int32)
    expected = logits_of(build_oracle(path), ids)
    rows = np.arange(len(ids), dtype=np.int32)
    actual = model.forward(ids, np.zeros(len(ids), np.int32), rows, rows, exact=True)
    assert actual is not None
    np.testing.assert_allclose(actual, expected, atol=0.02, rtol=0.01)
    assert mean_kl(expected, actual) < 1e-5


@pytest.fixture(scope="module")
def q8_pack(real_gguf: Path) -> Path:
    return ensure_pack(config.load({"model": str(real_gguf), "quant": "q8"})[0]).path


@pytest.fixture(scope="module")
def q8_oracle(q8_pack: Path) -> Any:
    return build_oracle(q8_pack)


@pytest.mark.weights
def test_q8_logits_equal_transformers(q8_pack: Path, q8_oracle: Any) -> None:
    tokenizer = Text.from_meta(read_pack(q8_pack).meta).tokenizer
    model = _native.Model(str(q8_pack), 1024, 1, 2)
    for language, text in TEXTS.items():
        ids = np.asarray(tokenizer.encode(text), np.int32)
        expected = logits_of(q8_oracle, ids)
        rows = np.arange(len(ids), dtype=np.int32)
        exact = model.forward(ids, np.zeros(len(ids), np.int32), rows, rows, exact=True)
        assert exact is not None
        error = float(np.abs(exact - expected).max())
        kl, served = mean_kl(expected, exact), mean_kl(expected, native_logits(model, ids))
        print(f"{language}: max abs error {error:.3f}, KL {kl:.6f}, as served {served:.6f}")
        assert kl <= 0.0005
        assert served <= 0.0005
        assert error < 0.5


@pytest.mark.weights
def test_q8_greedy_text_is_that_of_transformers(q8_pack: Path, q8_oracle: Any) -> None:
    # If each of our tokens is the oracle's best choice after the same tokens before it, then the
    # oracle's own greedy text is ours. One pass over the whole text asks that of all 64.
    text = Text.from_meta(read_pack(q8_pack).meta)
    model = _native.Model(str(q8_pack), 512, 1, 2)
    for prompt in PROMPTS:
        ids = text.template.encode(text.tokenizer, [Message("user", prompt)])
        answer = greedy(model, ids, 64, text.stop_ids)
        logits = logits_of(q8_oracle, np.array(ids + answer))
        best = logits[len(ids) - 1 : -1].argmax(axis=1).tolist()
        assert answer == best, prompt


def greedy(model: Any, ids: list[int], n: int, stop: frozenset[int]) -> list[int]:
    """Up to n tokens, ending with a stop token."""
    answer: list[int] = []
    tokens, start = ids, 0
    while len(answer) < n and not (answer and answer[-1] in stop):
        rows = np.arange(start, start + len(tokens), dtype=np.int32)
        last = np.array([len(tokens) - 1], np.int32)
        logits = model.forward(
            np.asarray(tokens, np.int32), np.zeros(len(tokens), np.int32), rows, last
        )
        start += len(tokens)
        tokens = [int(logits[0].argmax())]
        answer += tokens
    return answer
