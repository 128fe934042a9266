"""From settings to an engine that answers, with progress. Runs in the child."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from qwell.backends import Backend, KeepsPieces
from qwell.backends.memory import available_bytes, default_slots, kv_bytes, require_slots
from qwell.backends.registry import create_backend, require_engine
from qwell.backends.threads import Threads, default_threads
from qwell.backends.torch_options import TorchOptions
from qwell.config import Settings
from qwell.engine.engine import Engine
from qwell.engine.prefix_store import PrefixStore
from qwell.engine.warmth import Warmth
from qwell.errors import QwellError
from qwell.text import ChatTemplate, Text, Tokenizer

if TYPE_CHECKING:
    from qwell.weights import Progress

Report = Callable[[float, str], None]  # fraction done, stage
_SPANS = {
    "probe": (0.0, 0.02),
    "download": (0.02, 0.80),
    "verify": (0.80, 0.85),
    "pack": (0.85, 0.97),
}
_FLOAT32_GROWTH = 6  # a pack's weights in float32, roughly


@dataclass(frozen=True, slots=True)
class Loaded:
    """model: what is really served, for status and banner."""

    engine: Engine
    model: dict[str, Any]
    close: Callable[[], None]


def load(settings: Settings, report: Report) -> Loaded:
    """Fetch, pack, map. Raises QwellError for everything a person can mend."""
    started = time.monotonic()
    meta: Mapping[str, Any]
    require_engine(settings.engine)
    if settings.engine == "scripted":
        path, meta = Path(), _load_script()
    else:
        path, meta = _ensure_pack(settings, report)
    threads = Threads(settings.threads, "as set") if settings.threads else default_threads()
    n_ctx, n_slots = _sizes(settings, path, meta.get("config"))
    report(0.97, "start")
    with ThreadPoolExecutor(1) as pool:  # both take long, and leave Python's lock alone
        building = pool.submit(_build_text, settings.engine, meta)
        backend = create_backend(
            settings.engine,
            path,
            n_ctx=n_ctx,
            n_slots=n_slots,
            n_threads=threads.count,
            torch_options=_torch_options(settings),
        )
        text = building.result()
    _check_vocabulary(text, backend.limits.n_vocab)
    model = {
        "name": text.name,
        "engine": settings.engine,
        "quant": meta.get("quant", ""),
        "quant_why": meta.get("quant_why", ""),
        "architecture": meta.get("architecture", ""),
        "source": meta.get("source", {}),
        "isa": getattr(backend, "isa", ""),
        "slow_why": getattr(backend, "slow_why", ""),
        "n_ctx": n_ctx,
        "n_slots": n_slots,
        "n_threads": threads.count,
        "threads_why": threads.why,
        "use_cache": settings.engine != "transformers" or settings.use_cache == "on",
        "load_s": round(time.monotonic() - started, 3),
    }
    warmth = _warmth(settings, backend, meta)
    engine = Engine(backend, text, default_max_tokens=settings.max_tokens or None, warmth=warmth)
    return Loaded(engine, model, partial(_close, backend, warmth))


def _warmth(settings: Settings, backend: Backend, meta: Mapping[str, Any]) -> Warmth | None:
    """None where nothing is to be kept, or the backend cannot give it away."""
    if not settings.prefix_cache_mib or not isinstance(backend, KeepsPieces):
        return None
    parts = (settings.engine, meta.get("quant"), meta.get("source"), meta.get("config"))
    folder = settings.data_path / "prefixes"
    store = PrefixStore(
        folder, json.dumps(parts, sort_keys=True), settings.prefix_cache_mib * 2**20
    )
    return Warmth(backend, store)


def _close(backend: Backend, warmth: Warmth | None) -> None:
    if warmth is not None:
        warmth.close()
    backend.close()


def _torch_options(settings: Settings) -> TorchOptions:
    return TorchOptions(
        cast("Literal['auto', 'float32', 'bfloat16']", settings.torch_dtype),
        use_cache=settings.use_cache == "on",
        compile=settings.torch_compile == "on",
    )


def _build_text(engine: str, meta: Mapping[str, Any]) -> Text:
    return scripted_text() if engine == "scripted" else Text.from_meta(meta)


def scripted_text() -> Text:
    """The text side of the scripted backend."""
    from qwell.backends.scripted import CHAT_TEMPLATE, END, END_OF_TEXT

    return Text(
        tokenizer=Tokenizer.byte_level(),
        template=ChatTemplate(CHAT_TEMPLATE),
        stop_ids=frozenset({END, END_OF_TEXT}),
        generation_config={"temperature": 0.7, "top_p": 0.8, "top_k": 20},
        name="scripted",
    )


def _load_script() -> dict[str, Any]:
    import os

    from qwell.backends.scripted import Script

    Script.from_environ(os.environ).load()
    return {"quant": "none", "architecture": "scripted"}


def _ensure_pack(settings: Settings, report: Report) -> tuple[Path, Mapping[str, Any]]:
    from qwell.weights import ensure_pack

    best = 0.0  # a stage of unknown size must not turn the bar back

    def forward(progress: Progress) -> None:
        nonlocal best
        low, high = _SPANS[progress.stage]
        done = progress.done / progress.total if progress.total else 0.0
        best = max(best, low + (high - low) * min(1.0, done))
        report(best, progress.stage)

    packed = ensure_pack(settings, forward)
    return packed.path, packed.meta


def _sizes(settings: Settings, path: Path, config: Mapping[str, Any] | None) -> tuple[int, int]:
    """Context and slots: as set, within what the model was trained for and memory holds."""
    if config is None:
        return settings.ctx_size or 4096, settings.parallel or 2
    longest = config.get("max_position_embeddings") or 32768
    n_ctx = min(settings.ctx_size or 4096, longest)
    weights, slot = path.stat().st_size, kv_bytes(config, n_ctx)
    if settings.engine == "transformers":
        weights, slot = _FLOAT32_GROWTH * weights, 2 * slot
    available = available_bytes()
    fitting = default_slots(weights, slot, available)
    if settings.parallel:
        return n_ctx, require_slots(settings.parallel, weights, slot, available)
    return n_ctx, fitting


def _check_vocabulary(text: Text, n_vocab: int) -> None:
    if text.tokenizer.n_vocab > n_vocab:
        raise QwellError(
            "tokenizer-mismatch",
            found=f"a tokenizer of {text.tokenizer.n_vocab} tokens, weights for {n_vocab}",
            expected="a tokenizer that the weights were trained with",
            fix="use the tokenizer that came with the weights: qwell pull",
        )
