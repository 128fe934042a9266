"""The fields of a model's configuration that a pack needs, checked once for every format.

Knows the names of Hugging Face's config.json; GGUF keys are translated before they come here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qwell.errors import QwellError
from qwell.weights.source import ARCHITECTURE

_NEEDED = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "intermediate_size",
    "max_position_embeddings",
    "rms_norm_eps",
)


def refuse_other_architecture(path: Path, architecture: object) -> None:
    if architecture != ARCHITECTURE:
        raise QwellError(
            "unsupported-architecture",
            found=f"{path}: architecture {architecture!r}",
            expected=f"{ARCHITECTURE!r}: Qwen2 and Qwen2.5 models",
            fix="choose a Qwen2.5 model, e.g. `--model Qwen/Qwen2.5-0.5B-Instruct`",
        )


def checked_config(path: Path, raw: Mapping[str, Any]) -> dict[str, Any]:
    """The needed fields, with defaults filled in and sizes that fit the kernels.

    Raises QwellError: ``config-json-missing`` for an absent or unusable field,
    ``unsupported-architecture`` for what the engine does not compute.
    """
    absent = [name for name in _NEEDED if name not in raw]
    if absent:
        raise _unusable(path, f"no {', '.join(absent)}", "all fields of a Qwen2 configuration")
    config = {name: raw[name] for name in _NEEDED}
    config["model_type"] = ARCHITECTURE
    config["tie_word_embeddings"] = bool(raw.get("tie_word_embeddings", False))
    config["rope_theta"] = _rope_theta(path, raw)
    for name in _NEEDED[:-1]:
        _refuse_uncountable(path, name, config[name])
    config["head_dim"] = raw.get("head_dim") or (
        config["hidden_size"] // config["num_attention_heads"]
    )
    _refuse_uncountable(path, "head_dim", config["head_dim"])
    config["rms_norm_eps"] = _positive(path, "rms_norm_eps", config["rms_norm_eps"])
    _refuse_odd_sizes(path, config)
    if raw.get("use_sliding_window"):
        raise _not_computed(path, "sliding window attention")
    return config


def _refuse_uncountable(path: Path, name: str, value: object) -> None:
    if not isinstance(value, int) or not 0 < value < 1 << 31:
        raise _unusable(path, f"{name} = {value!r}", "a positive whole number")


def _positive(path: Path, name: str, value: object) -> float:
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise _unusable(path, f"{name} = {value!r}", "a positive number")
    return float(value)


def _rope_theta(path: Path, raw: Mapping[str, Any]) -> float:
    """Older files have rope_theta and rope_scaling, newer ones rope_parameters."""
    rope = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
    if not isinstance(rope, Mapping):
        raise _unusable(path, f"RoPE settings {rope!r}", "an object")
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in ("default", "none"):
        raise _not_computed(path, f"RoPE scaling of type {kind!r}")
    return _positive(path, "rope_theta", rope.get("rope_theta", raw.get("rope_theta", 10_000.0)))


def _refuse_odd_sizes(path: Path, config: Mapping[str, Any]) -> None:
    q = config["num_attention_heads"] * config["head_dim"]
    sizes = {
        "hidden_size": (config["hidden_size"], 64),
        "intermediate_size": (config["intermediate_size"], 64),
        "num_attention_heads * head_dim": (q, 64),
        "head_dim": (config["head_dim"], 16),
        "num_attention_heads": (config["num_attention_heads"], config["num_key_value_heads"]),
    }
    for name, (size, unit) in sizes.items():
        if size % unit:
            raise _not_computed(path, f"{name} = {size}, not a multiple of {unit}")


def _unusable(path: Path, found: str, expected: str) -> QwellError:
    return QwellError(
        "config-json-missing",
        found=f"{path}: {found}",
        expected=expected,
        fix="restore the model's own configuration: `qwell pull`",
    )


def _not_computed(path: Path, what: str) -> QwellError:
    return QwellError(
        "unsupported-architecture",
        found=f"{path}: {what}",
        expected="a plain Qwen2 model",
        fix="choose an official Qwen2.5 model, e.g. `--model Qwen/Qwen2.5-0.5B-Instruct`",
    )
