"""The oracle: the same weights through Hugging Face Transformers, in float32.

Slow and large, but written by others: where it and the native engine disagree, one of them is
wrong. The only module that knows torch.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qwell.backends import Cancelled, Chunk, Limits, Logits
from qwell.errors import QwellError

try:
    import torch
    from transformers import DynamicCache, Qwen2Config, Qwen2ForCausalLM
    from transformers.models.qwen2.modeling_qwen2 import Qwen2RotaryEmbedding
except ImportError:
    raise
except Exception as error:  # packages that do not fit each other fail in many ways
    raise QwellError(
        "package-version-mismatch",
        found=f"torch and transformers cannot be imported together: {error}",
        expected="versions that fit each other",
        fix="pip install --upgrade 'qwell[transformers]'",
    ) from error


class TransformersBackend:
    """One Qwen2ForCausalLM, one cache a slot; the chunks of a batch run one after another."""

    def __init__(self, model: Any, *, n_ctx: int, n_slots: int, n_threads: int = 0) -> None:
        if n_threads:
            torch.set_num_threads(n_threads)
        self.limits = Limits(model.config.vocab_size, n_ctx, n_slots)
        self._model = model.eval()
        self._caches: list[Any] = [DynamicCache() for _ in range(n_slots)]
        self._cancelled = threading.Event()
        for layer in model.model.layers:
            layer.register_forward_pre_hook(self._stop_if_cancelled)

    @classmethod
    def from_pack(
        cls, path: Path, *, n_ctx: int, n_slots: int, n_threads: int = 0
    ) -> TransformersBackend:
        """Serve exactly the values that the pack holds."""
        from qwell.weights.dequantized import dequantized
        from qwell.weights.pack import read_pack

        model = build_model(read_pack(path).meta["config"], dequantized(path))
        return cls(model, n_ctx=n_ctx, n_slots=n_slots, n_threads=n_threads)

    @classmethod
    def from_directory(
        cls, path: Path, *, n_ctx: int, n_slots: int, n_threads: int = 0
    ) -> TransformersBackend:
        """Serve a directory in Hugging Face's layout, without packing it."""
        model = Qwen2ForCausalLM.from_pretrained(path, dtype=torch.float32, local_files_only=True)
        return cls(model, n_ctx=n_ctx, n_slots=n_slots, n_threads=n_threads)

    def forward(self, batch: Sequence[Chunk]) -> list[Logits | None]:
        self._cancelled.clear()
        return [self._run(chunk) for chunk in batch]

    def copy(self, source: int, target: int, n: int) -> None:
        self._caches[target] = _beginning(self._caches[source], n)

    def cancel(self) -> None:
        self._cancelled.set()

    def close(self) -> None:
        self._caches = []
        self._model = None

    @torch.inference_mode()
    def _run(self, chunk: Chunk) -> Logits | None:
        cache = self._start_at(chunk.slot, chunk.start)
        ids = torch.tensor([chunk.tokens])
        try:
            output = self._model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        except Cancelled:
            self._caches[chunk.slot] = _beginning(cache, chunk.start)
            raise
        if not chunk.want_logits:
            return None
        logits: Logits = output.logits[0, -1].float().numpy()
        return logits

    def _start_at(self, slot: int, start: int) -> Any:
        """The slot's cache with its first start entries."""
        cache = self._caches[slot]
        if cache.get_seq_length() != start:
            cache = self._caches[slot] = _beginning(cache, start)
        assert cache.get_seq_length() == start, "a chunk that starts behind what the slot holds"
        return cache

    def _stop_if_cancelled(self, *_: Any) -> None:
        if self._cancelled.is_set():
            raise Cancelled


def _beginning(cache: Any, n: int) -> Any:
    """A new cache with the first n entries of every layer, however long each layer is."""
    beginning = DynamicCache()
    for index, layer in enumerate(cache.layers if n else ()):
        keys, values = layer.keys[:, :, :n].clone(), layer.values[:, :, :n].clone()
        beginning.update(keys, values, index)
    return beginning


def build_model(config: Mapping[str, Any], tensors: Mapping[str, np.ndarray[Any, Any]]) -> Any:
    """A Qwen2ForCausalLM in float32. config and tensors: names of Hugging Face."""
    hf_config = Qwen2Config(**config)
    with torch.device("meta"):  # no time and memory for random weights
        model = Qwen2ForCausalLM(hf_config)
    state = {name: torch.from_numpy(np.ascontiguousarray(t)) for name, t in tensors.items()}
    model.load_state_dict(state, strict=False, assign=True)
    model.tie_weights()
    model.model.rotary_emb = Qwen2RotaryEmbedding(hf_config)  # its table is no weight: made here
    return model
