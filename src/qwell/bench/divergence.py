"""How far the engine's predictions are from float32 Transformers on the source's own values.

Mean Kullback-Leibler divergence per token, in nats, over a fixed text a language. The source's
values are those of the file as its format defines them, so the figure holds all that packing and
8-bit activations change. Needs torch and transformers (the parity tests' oracle).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

TEXTS = {
    "zh": "在一台没有显卡的小机器上运行语言模型，听起来不太现实，但只要模型足够小、方法合适，"
    "它可以做得很好。生成每一个词都要把全部权重从内存里读一遍，所以速度的上限是内存带宽；"
    "而阅读提示词时，许多词可以一起计算，瓶颈就变成了计算能力。春天来了，院子里的梅花先开，"
    "接着是杏花和桃花。老人坐在门口晒太阳，孩子们在巷子里跑来跑去，卖豆腐的吆喝声从远处传来。"
    "如果页面打不开，请检查服务是否已经启动，端口是否被别的程序占用。",
    "en": "Running a language model on a small machine without a graphics card sounds unlikely to "
    "work, but when the model is small enough and the method fits, it does very well. Every word "
    "that is written needs all weights to be read from memory once, so the limit is memory "
    "bandwidth; a prompt is read many words at a time, so there the limit is arithmetic. The "
    "lighthouse keeper had lived alone on the island for eleven years. "
    "def add(a, b):\n    return a + b\n",
}


def divergence(engine: Any, source: Path, pack: Path) -> dict[str, float]:
    """Mean KL per language. engine: the native Model. Raises ImportError without torch."""
    from qwell.backends.transformers import build_model, logits_of
    from qwell.text import Text
    from qwell.weights.dequantized import dequantized_source
    from qwell.weights.pack import read_pack

    meta = read_pack(pack).meta
    tokenizer = Text.from_meta(meta).tokenizer
    oracle = build_model(meta["config"], dequantized_source(source)).eval()
    results = {}
    for language, text in TEXTS.items():
        ids = np.asarray(tokenizer.encode(text), np.int32)
        results[language] = mean_kl(logits_of(oracle, ids), native_logits(engine, ids))
    return results


def native_logits(engine: Any, ids: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(n, n_vocab): the logits that the engine serves for every position of one text."""
    n = len(ids)
    rows = np.arange(n, dtype=np.int32)
    logits: np.ndarray[Any, Any] = engine.forward(ids, np.zeros(n, np.int32), rows, rows)
    return logits


def mean_kl(expected: np.ndarray[Any, Any], actual: np.ndarray[Any, Any]) -> float:
    """Mean over rows of KL(expected || actual), in nats."""
    p, q = _log_softmax(expected), _log_softmax(actual)
    return float((np.exp(p) * (p - q)).sum(axis=-1).mean())


def _log_softmax(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    shifted = x.astype(np.float64) - x.max(axis=-1, keepdims=True)
    result: np.ndarray[Any, Any] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result
