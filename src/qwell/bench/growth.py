"""How cost grows with the context: time of a token, of reading, and memory. Knows no plotting."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

from qwell.bench.engine import OwnEngine, resident_mb

CONTEXTS = (100, 512, 1024, 2048, 4096, 8000)
_AT_ONCE = 512  # tokens of a pass
_DECODED = 24  # tokens decoded at each context

Points = list[tuple[int, float]]


def growth(engine: OwnEngine, contexts: Sequence[int] = CONTEXTS) -> dict[str, Points]:
    """Pairs of context and figure, in one conversation that grows to the last of the contexts.

    decode_ms   median of a token, at all contexts in turn when all is read: the machine drifts
    read_s      of all tokens before, from the first on
    memory_mb   resident, of this process
    """
    curves: dict[str, Points] = {"decode_ms": [], "read_s": [], "memory_mb": []}
    n_read, read_s = 0, 0.0
    for context in contexts:
        read_s += _read(engine, n_read, context)
        n_read = context
        curves["read_s"].append((context, read_s))
        curves["memory_mb"].append((context, resident_mb()))
    curves["decode_ms"] = _decode_ms(engine, contexts)
    return curves


def _read(engine: OwnEngine, start: int, end: int) -> float:
    """Seconds for the tokens from start to end."""
    began = time.perf_counter()
    for at in range(start, end, _AT_ONCE):
        engine.forward(engine.tokens(min(_AT_ONCE, end - at)), 0, at)
    return time.perf_counter() - began


def _decode_ms(engine: OwnEngine, contexts: Sequence[int]) -> Points:
    times: dict[int, list[float]] = {context: [] for context in contexts}
    for i in range(_DECODED):
        for context, spent in times.items():
            began = time.perf_counter()
            engine.forward(engine.tokens(1), 0, context + i)
            spent.append(time.perf_counter() - began)
    return [(context, median(spent) * 1e3) for context, spent in times.items()]
