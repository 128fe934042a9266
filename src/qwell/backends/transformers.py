"""The same weights through Hugging Face Transformers: slow and large, but written by others.

Where it and the native engine disagree, one of them is wrong. Two of them: one that steps with
forward(), which is the oracle, and one that serves with generate(). With generation.py and
precision.py the only modules that know torch.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np

from qwell.backends import Cancelled, Chunk, Limits, Logits
from qwell.backends.torch_options import TorchOptions
from qwell.errors import QwellError

try:
    import torch
    from transformers import DynamicCache, Qwen2Config, Qwen2ForCausalLM
    from transformers.models.qwen2.modeling_qwen2 import Qwen2RotaryEmbedding

    from qwell.backends.generation import Generation
    from qwell.backends.precision import choose_dtype
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

    verifies = False

    def __init__(self, model: Any, *, n_ctx: int, n_slots: int, n_threads: int = 0) -> None:
        if n_threads:
            torch.set_num_threads(n_threads)
        self.limits = Limits(model.config.vocab_size, n_ctx, n_slots)
        self._model = model.eval()
        self._caches: list[Any] = [DynamicCache() for _ in range(n_slots)]
        self._cancelled = threading.Event()
        self._watch(model)

    def _watch(self, model: Any) -> None:
        """Make a running pass look whether it is cancelled, at every layer."""
        for layer in model.model.layers:
            layer.register_forward_pre_hook(self._stop_if_cancelled)

    @classmethod
    def from_pack(cls, path: Path, *, n_ctx: int, n_slots: int, n_threads: int = 0) -> Self:
        """Serve exactly the values that the pack holds."""
        return cls(model_of(path), n_ctx=n_ctx, n_slots=n_slots, n_threads=n_threads)

    @classmethod
    def from_directory(cls, path: Path, *, n_ctx: int, n_slots: int, n_threads: int = 0) -> Self:
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


class GeneratingBackend(TransformersBackend):
    """Serves with generate(): one call for each answer, for as long as its tokens follow.

    Prompts are read in the chunks that the engine asks for, so that reading shows progress and
    can be cancelled; generate() begins with the chunk whose logits are wanted. Without a cache
    it begins with the whole conversation.
    """

    def __init__(
        self,
        model: Any,
        *,
        n_ctx: int,
        n_slots: int,
        n_threads: int = 0,
        options: TorchOptions | None = None,
    ) -> None:
        self._options = options or TorchOptions()
        super().__init__(
            model.to(choose_dtype(self._options.dtype)),
            n_ctx=n_ctx,
            n_slots=n_slots,
            n_threads=n_threads,
        )
        self.isa = str(model.dtype).removeprefix("torch.")
        if self._options.compile:
            _require_compiler()
            model.forward = torch.compile(model.forward, dynamic=True)
        self._ids: list[list[int]] = [[] for _ in range(n_slots)]
        self._running: dict[int, Generation] = {}  # by slot
        # threads of their own: each keeps the team that computes for it
        self._threads = [ThreadPoolExecutor(1) for _ in range(n_slots)]

    def copy(self, source: int, target: int, n: int) -> None:
        self._end(source)
        self._end(target)
        self._ids[target] = self._ids[source][:n]
        super().copy(source, target, n)

    def close(self) -> None:
        for slot in list(self._running):
            self._end(slot)
        for thread in self._threads:
            thread.shutdown()
        super().close()

    def _watch(self, model: Any) -> None:
        """A compiled pass cannot be watched, and runs to its end."""
        if not self._options.compile:
            super()._watch(model)

    def _run(self, chunk: Chunk) -> Logits | None:
        try:
            self._stop_if_cancelled()
            return self._next(chunk)
        except BaseException:
            self._forget(chunk)
            raise

    def _next(self, chunk: Chunk) -> Logits | None:
        slot, running = chunk.slot, self._running.get(chunk.slot)
        goes_on = running and chunk.want_logits and len(chunk.tokens) == 1
        if running and goes_on and chunk.start == len(running.ids):
            return running.push(chunk.tokens[0])
        self._end(slot)
        self._ids[slot][chunk.start :] = chunk.tokens
        if chunk.want_logits:
            return self._generate(slot, chunk.start)
        if self._options.use_cache:
            super()._run(chunk)
        return None

    def _generate(self, slot: int, start: int) -> Logits:
        """Begin a call of generate() with what the slot holds, the cache up to start."""
        ids = self._ids[slot]
        cache = self._start_at(slot, start) if self._options.use_cache else None
        n_most = self.limits.n_ctx - len(ids) + 1
        self._running[slot] = Generation(self._model, self._threads[slot], list(ids), cache, n_most)
        return self._running[slot].logits()

    def _forget(self, chunk: Chunk) -> None:
        """After a pass that broke off: the slot holds what the chunk was to be appended to."""
        self._end(chunk.slot)
        self._ids[chunk.slot] = self._ids[chunk.slot][: chunk.start]
        self._caches[chunk.slot] = _beginning(self._caches[chunk.slot], chunk.start)

    def _end(self, slot: int) -> None:
        if (running := self._running.pop(slot, None)) is not None:
            running.close()
            self._ids[slot] = running.ids


def _require_compiler() -> None:
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        raise QwellError(
            "build-toolchain-missing",
            found="no C++ compiler on PATH, and torch_compile is on",
            expected="c++, g++ or clang++, which torch.compile writes its code for",
            fix="install one (Debian: apt install g++), or start without --torch-compile",
        )


def _beginning(cache: Any, n: int) -> Any:
    """A new cache with the first n entries of every layer, however long each layer is."""
    beginning = DynamicCache()
    for index, layer in enumerate(cache.layers if n else ()):
        keys, values = layer.keys[:, :, :n].clone(), layer.values[:, :, :n].clone()
        beginning.update(keys, values, index)
    return beginning


def model_of(path: Path) -> Any:
    """The model of a pack, with exactly the values that the pack holds."""
    from qwell.weights.dequantized import dequantized
    from qwell.weights.pack import read_pack

    return build_model(read_pack(path).meta["config"], dequantized(path))


def logits_of(model: Any, ids: Any) -> Any:
    """(n, n_vocab) float32: the oracle's logits for every position of one text of n ids."""
    with torch.no_grad():
        return model(torch.as_tensor(ids, dtype=torch.int64)[None]).logits[0].float().numpy()


def build_model(config: Mapping[str, Any], tensors: Mapping[str, np.ndarray[Any, Any]]) -> Any:
    """A Qwen2ForCausalLM in float32. config and tensors: names of Hugging Face."""
    hf_config = Qwen2Config(**config)
    with torch.device("meta"):  # no time and memory for random weights
        model = Qwen2ForCausalLM(hf_config)
    state = {
        name: torch.from_numpy(np.require(t, requirements=["C", "W"]))
        for name, t in tensors.items()
    }
    model.load_state_dict(state, strict=False, assign=True)
    model.tie_weights()
    model.model.rotary_emb = Qwen2RotaryEmbedding(hf_config)  # its table is no weight: made here
    return model
