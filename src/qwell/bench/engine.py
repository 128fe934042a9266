"""What the native engine does on this machine: speed, bytes, memory. Knows no peers, no printing.

Greedy, fixed prompts, medians over rounds; a round measures everything once, so that the machine's
drift spreads over all figures alike.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from qwell.bench.sampling import sampling_cost

PROMPT = "Tell me a long story about a dragon who lives in a mountain and reads books every day."
DECODED = 128  # tokens decoded in a round
PREFILLED = 512  # tokens of the long prompt
BATCHES = (1, 2, 4, 8)
N_CTX = 8192  # of each slot; memory becomes resident as it is used
_BATCH_STEPS = 32
_SLICES = 8  # of a round's tokens, each between two readings of memory


@dataclass
class Samples:
    """Rates and times of all rounds."""

    decode_tok_s: list[float] = field(default_factory=list)
    read_gb_s: list[float] = field(default_factory=list)
    roofline: list[float] = field(default_factory=list)
    prefill_tok_s: list[float] = field(default_factory=list)
    ttft_ms: dict[str, list[float]] = field(default_factory=dict)
    batch: dict[str, list[float]] = field(default_factory=dict)

    def medians(self) -> dict[str, Any]:
        return {
            "decode_tok_s": median(self.decode_tok_s),
            "read_gb_s": median(self.read_gb_s),
            "roofline": median(self.roofline),
            "prefill_tok_s": median(self.prefill_tok_s),
            "ttft_ms": {name: median(times) for name, times in self.ttft_ms.items()},
            "batch": {name: median(rates) for name, rates in self.batch.items()},
        }


class OwnEngine:
    """The native engine without scheduler or text: what a step costs at least."""

    def __init__(self, pack: Path, n_threads: int) -> None:
        from qwell import _native
        from qwell.text import Text
        from qwell.weights.pack import read_pack

        self._native = _native
        start = time.perf_counter()
        self.model = _native.Model(str(pack), N_CTX, max(BATCHES), n_threads)
        self.load_s = time.perf_counter() - start
        while self.model.settle():
            pass
        self.text = text = Text.from_meta(read_pack(pack).meta)
        self._prompt = text.tokenizer.encode(PROMPT)[:26]
        self._long = long_prompt(self.model.n_vocab)

    def sample(self, samples: Samples) -> None:
        """One round of everything."""
        samples.decode_tok_s.append(self.decode(DECODED))
        self._sample_roofline(samples)
        seconds = self._timed(self._long)
        samples.prefill_tok_s.append(PREFILLED / seconds)
        samples.ttft_ms.setdefault("512", []).append(seconds * 1e3)
        samples.ttft_ms.setdefault("26", []).append(self._timed(self._prompt) * 1e3)
        for n in BATCHES:
            samples.batch.setdefault(str(n), []).append(self._together(n))

    def _sample_roofline(self, samples: Samples) -> None:
        """A few tokens at a time between two readings: shared memory changes within seconds."""
        before = self._read_gb_s()
        for _ in range(_SLICES):
            decoded = self.decode(DECODED // _SLICES) * self.model.bytes_per_token / 1e9
            after = self._read_gb_s()
            bandwidth = (before + after) / 2
            samples.read_gb_s.append(bandwidth)
            samples.roofline.append(decoded / bandwidth)
            before = after

    def _read_gb_s(self) -> float:
        return self._native.read_bandwidth(self.model.n_threads) / 1e9

    def tokens(self, n: int) -> list[int]:
        """The beginning of the long prompt, n tokens."""
        return self._long[:n]

    def decode(self, n: int) -> float:
        """Tokens per second of n greedy tokens after the short prompt."""
        token = int(self.forward(self._prompt, 0, 0).argmax())
        start = time.perf_counter()
        for i in range(n):
            token = int(self.forward([token], 0, len(self._prompt) + i).argmax())
        return n / (time.perf_counter() - start)

    def phases(self) -> dict[str, tuple[float, float]]:
        """Milliseconds a decoded token in each phase, and how much of them one thread waits."""
        self.forward(self._prompt, 0, 0)
        before = self.model.phases
        for i in range(DECODED):
            self.forward(self._prompt[-1:], 0, len(self._prompt) + i)
        spent = zip(self.model.phases, before, strict=True)
        return {
            name: ((total - total0) * 1e3 / DECODED, (waiting - waiting0) * 1e3 / DECODED)
            for (name, total, waiting), (_, total0, waiting0) in spent
        }

    def sampling(self) -> dict[str, float]:
        """Microseconds a token that choosing it takes; see qwell.bench.sampling."""
        return sampling_cost(
            lambda tokens, start: self.forward(tokens, 0, start, n_best=0),
            self.text,
            self.model.n_vocab,
        )

    def facts(self) -> dict[str, Any]:
        """Figures that need no rounds."""
        return {
            "isa": self.model.isa,
            "threads": self.model.n_threads,
            "bytes_per_token": self.model.bytes_per_token,
            "phases_ms": self.phases(),
            "load_s": self.load_s,
        }

    def forward(
        self, tokens: Sequence[int], slot: int, start: int, *, n_best: int = 1
    ) -> np.ndarray[Any, Any]:
        """(n_vocab,): logits of the last token; the first takes position start of the slot.

        As a greedy request is served; with n_best = 0 as one that may draw any token.
        """
        n = len(tokens)
        logits = self.model.forward(
            np.asarray(tokens, np.int32),
            np.full(n, slot, np.int32),
            np.arange(start, start + n, dtype=np.int32),
            np.array([n - 1], np.int32),
            n_best=np.array([n_best], np.int32),
        )
        assert logits is not None
        row: np.ndarray[Any, Any] = logits[0]
        return row

    def _timed(self, tokens: Sequence[int]) -> float:
        start = time.perf_counter()
        self.forward(tokens, 0, 0).argmax()
        return time.perf_counter() - start

    def _together(self, n: int) -> float:
        """Tokens per second in total of n conversations that decode in step."""
        for slot in range(n):
            self.forward(self._prompt, slot, 0)
        slots = np.arange(n, dtype=np.int32)
        tokens, n_best = np.full(n, self._prompt[-1], np.int32), np.ones(n, np.int32)
        start = time.perf_counter()
        for i in range(_BATCH_STEPS):
            positions = np.full(n, len(self._prompt) + i, np.int32)
            logits = self.model.forward(tokens, slots, positions, slots, n_best=n_best)
            assert logits is not None
            tokens = logits.argmax(axis=1).astype(np.int32)
        return n * _BATCH_STEPS / (time.perf_counter() - start)


def long_prompt(n_vocab: int) -> list[int]:
    """PREFILLED ordinary token ids, the same for every engine."""
    rng = np.random.default_rng(7)
    ids: list[int] = rng.integers(1000, min(100_000, n_vocab), PREFILLED).tolist()
    return ids


def resident_mb() -> float:
    """Resident memory of the calling process in MB (10^6 bytes)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
