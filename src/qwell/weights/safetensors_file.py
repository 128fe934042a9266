"""Reads a model directory as Hugging Face lays it out: config.json, tokenizer and safetensors.

Knows the files' names and the container: a length, a JSON table and raw rows. The table is read
here and not by the ``safetensors`` package because numpy has no bfloat16, the type of the
official weights, and so the package can't hand it out; the tests compare the two.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qwell.errors import QwellError
from qwell.weights.blocks import TYPES, U8
from qwell.weights.impostor import not_a, refuse_impostor
from qwell.weights.shape import checked_config, refuse_other_architecture
from qwell.weights.source import Source, Tensor
from qwell.weights.words import (
    checked_template,
    no_tokenizer,
    official_generation_config,
    served_name,
    stop_ids,
)

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
_EXPECTED = "a safetensors file"
_MAX_TABLE = 100_000_000  # the format's own limit
_DTYPES = ("F32", "F16", "BF16")


def open_directory(path: Path, *, name: str | None = None) -> Source:
    """Open a model directory; name overrides the directory's.

    Raises QwellError: ``config-json-missing``, ``unsupported-architecture``,
    ``tokenizer-missing``, ``tokenizer-mismatch``, ``chat-template-missing``,
    ``weights-truncated``, ``weights-corrupt`` and what refuse_impostor raises.
    """
    raw = _json(path / "config.json", _no_config)
    refuse_other_architecture(path / "config.json", raw.get("model_type"))
    if raw.get("quantization_config"):
        raise _not_supported(path, "weights quantised by another program")
    config = checked_config(path / "config.json", raw)
    tokenizer = _tokenizer_text(path)
    ids = token_ids(json.loads(tokenizer))
    template = checked_template(path, _chat_template(path))
    stops = stop_ids(path / "tokenizer.json", ids, config["vocab_size"])
    tensors, descriptors = _open_tensors(path)
    config["tie_word_embeddings"] |= "lm_head.weight" not in tensors

    def close() -> None:
        for descriptor in descriptors:
            os.close(descriptor)

    return Source(
        path=path,
        name=name or _name(path, raw),
        config=config,
        tensors=tensors,
        tokenizer={"json": tokenizer},
        chat_template=template,
        generation_config=_generation_config(path, config),
        stop_ids=stops,
        close=close,
    )


def weight_files(path: Path) -> list[Path]:
    """The safetensors files of a directory.

    Raises QwellError ``weights-truncated`` when the index names a shard that is absent.
    """
    if (path / INDEX).is_file():
        index = _json(path / INDEX, _bad_index)
        shards = [path / shard for shard in sorted(set(index.get("weight_map", {}).values()))]
        absent = [shard.name for shard in shards if not shard.is_file()]
        if absent or not shards:
            raise _incomplete(path, f"{INDEX} without {', '.join(absent) or 'any shard'}")
        return shards
    if (path / SINGLE).exists():
        return [path / SINGLE]
    raise _incomplete(path, "no safetensors file")


def token_ids(tokenizer: Mapping[str, Any]) -> dict[str, int]:
    """Ids of the special tokens in a parsed tokenizer.json."""
    added = tokenizer.get("added_tokens")
    tokens = [t for t in added if isinstance(t, dict)] if isinstance(added, list) else []
    return {
        t["content"]: t["id"] for t in tokens if "content" in t and isinstance(t.get("id"), int)
    }


def _name(path: Path, raw: Mapping[str, Any]) -> str:
    """A directory called ``model`` says nothing: then its configuration may know more."""
    own = path.absolute().name
    if own in ("model", "models", ""):
        own = Path(str(raw.get("_name_or_path") or own)).name or own
    return served_name(own)


def _json(path: Path, error: Callable[[Path, str], QwellError]) -> dict[str, Any]:
    if not path.is_file():
        raise error(path, "it is absent")
    refuse_impostor(path, f"the model's {path.name}")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as reason:
        raise error(path, f"no JSON: {reason}") from reason
    if not isinstance(value, dict):
        raise error(path, "no JSON object")
    return value


def _no_config(path: Path, found: str) -> QwellError:
    return QwellError(
        "config-json-missing",
        found=f"{path}: {found}",
        expected="the model's config.json",
        fix=f"`ls -l '{path.absolute().parent}'`: fetch the complete model with `qwell pull`, or "
        "correct the mount so that config.json lies directly in the directory",
    )


def _bad_index(path: Path, found: str) -> QwellError:
    return _incomplete(path.parent, f"{path.name}: {found}")


def _tokenizer_text(path: Path) -> str:
    file = path / "tokenizer.json"
    _json(file, no_tokenizer)
    return file.read_text(encoding="utf-8")


def _chat_template(path: Path) -> object:
    """Newer models keep it in a file of its own, older ones in tokenizer_config.json."""
    own = path / "chat_template.jinja"
    if own.is_file():
        return own.read_text(encoding="utf-8")
    if not (path / "tokenizer_config.json").is_file():
        return None
    template = _json(path / "tokenizer_config.json", no_tokenizer).get("chat_template")
    if isinstance(template, list):
        return {t.get("name"): t.get("template") for t in template}.get("default")
    return template


def _generation_config(path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    file = path / "generation_config.json"
    return _json(file, _no_config) if file.is_file() else official_generation_config(config)


def _open_tensors(path: Path) -> tuple[dict[str, Tensor], list[int]]:
    tensors: dict[str, Tensor] = {}
    descriptors: list[int] = []
    try:
        for file in weight_files(path):
            table, start = read_table(file)
            descriptors.append(os.open(file, os.O_RDONLY | os.O_CLOEXEC))
            tensors.update(_tensors(file, descriptors[-1], table, start))
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    return tensors, descriptors


def read_table(path: Path) -> tuple[dict[str, Any], int]:
    """The JSON table of a safetensors file and the offset of its data, checked against its size."""
    refuse_impostor(path, _EXPECTED)
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        n_bytes = int.from_bytes(head, "little")
        if n_bytes > _MAX_TABLE or file.read(1) != b"{":
            raise not_a(path, _EXPECTED)
        file.seek(8)
        text = file.read(n_bytes)
    if len(text) < n_bytes:
        raise _truncated(path, size, f"a table of {n_bytes:,} bytes")
    try:
        table = json.loads(text)
        table.pop("__metadata__", None)
        end = max((entry["data_offsets"][1] for entry in table.values()), default=0)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise _corrupt(path, f"a table that can't be read ({error!r})") from error
    if 8 + n_bytes + end > size:
        raise _truncated(path, size, f"{8 + n_bytes + end:,} bytes, as its table says")
    return table, 8 + n_bytes


def _tensors(
    path: Path, descriptor: int, table: Mapping[str, Any], start: int
) -> Iterator[tuple[str, Tensor]]:
    for name, entry in table.items():
        if entry.get("dtype") not in _DTYPES:
            raise _not_supported(path, f"tensor {name} of type {entry.get('dtype')}")
        yield name, _tensor(path, descriptor, name, entry, start)


def _tensor(path: Path, descriptor: int, name: str, entry: Mapping[str, Any], start: int) -> Tensor:
    block_type = TYPES[entry["dtype"]]
    shape, (first_byte, last_byte) = entry.get("shape", []), entry["data_offsets"]
    if not 1 <= len(shape) <= 2:
        raise _corrupt(path, f"tensor {name} of shape {shape}")
    rows, cols = (1, shape[0]) if len(shape) == 1 else shape
    row_bytes = block_type.row_bytes(cols)
    if rows * row_bytes != last_byte - first_byte:
        raise _corrupt(path, f"tensor {name}: {shape} does not fit {last_byte - first_byte} bytes")

    def read(first: int, last: int) -> U8:
        n_bytes = (last - first) * row_bytes
        data = os.pread(descriptor, n_bytes, start + first_byte + first * row_bytes)
        if len(data) != n_bytes:
            raise _truncated(path, os.fstat(descriptor).st_size, f"all of tensor {name}")
        return np.frombuffer(data, np.uint8)

    return Tensor(block_type, rows, cols, read)


def _truncated(path: Path, size: int, expected: str) -> QwellError:
    return QwellError(
        "weights-truncated",
        found=f"{path} ends after {size:,} bytes",
        expected=expected,
        fix=f"delete it (`rm '{path}'`) and download it again: `qwell pull`",
    )


def _incomplete(path: Path, found: str) -> QwellError:
    return QwellError(
        "weights-truncated",
        found=f"{path}: {found}",
        expected=f"{SINGLE}, or {INDEX} with all its shards",
        fix="fetch the complete model: `qwell pull`",
    )


def _corrupt(path: Path, found: str) -> QwellError:
    return QwellError(
        "weights-corrupt",
        found=f"{path}: {found}",
        expected=_EXPECTED,
        fix=f"delete it (`rm '{path}'`) and download it again: `qwell pull`",
    )


def _not_supported(path: Path, found: str) -> QwellError:
    return QwellError(
        "unsupported-architecture",
        found=f"{path}: {found}",
        expected="weights of type " + ", ".join(_DTYPES),
        fix="use the official weights or a GGUF file, e.g. `--model Qwen/Qwen2.5-0.5B-Instruct`",
    )
