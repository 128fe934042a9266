"""Which model the settings mean, and what lies there: the doctor's own view of the disk.

Follows the order of docs/model.md without fetching anything. Judges nothing.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from qwell.doctor.weight_header import Damaged, Header, read_header

if TYPE_CHECKING:
    from qwell.doctor.system import System

MOUNT = "app/model"
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_DEFAULT = "Qwen/Qwen2.5-0.5B-Instruct"
_WEIGHTS = (".gguf", ".safetensors", ".qpack")
PARTIAL = (".part", ".incomplete", ".crdownload", ".download", ".tmp", ".aria2")
_RESERVE_BYTES = 256 * 2**20  # interpreter, tokenizer, scratch, server
_USUAL_BYTES = 600 * 2**20  # the default model, packed

Kind = Literal["file", "directory", "absent", "unreadable"]


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """origin: path (named by the settings), mount, cache, or none: to be fetched."""

    path: Path | None
    origin: Literal["path", "mount", "cache", "none"]

    @property
    def is_ours(self) -> bool:
        """In qwell's own cache, so that it can be fetched again."""
        return self.origin == "cache"


def model_place(system: System) -> ModelPlace:
    return system.once("model place", lambda: _place(system))


def _place(system: System) -> ModelPlace:
    model = system.settings.model
    if model != "auto":
        path = Path(model).expanduser()
        if not path.exists() and _REPO.fullmatch(model) and path.suffix not in _WEIGHTS:
            return _cached(system, model) or ModelPlace(None, "none")
        return ModelPlace(path.absolute(), "path")
    mount = system.root / MOUNT
    if _has_files(mount):
        return ModelPlace(mount, "mount")
    return _cached(system, _DEFAULT) or _bundle(system) or ModelPlace(None, "none")


def _has_files(path: Path) -> bool:
    try:
        return path.is_file() or (path.is_dir() and any(path.iterdir()))
    except OSError:
        return True  # there, but not for us: model.readable says so


def _cached(system: System, repo: str) -> ModelPlace | None:
    snapshots = hub_cache(system) / f"models--{repo.replace('/', '--')}" / "snapshots"
    own = system.settings.cache_path / "models" / repo.replace("/", "--")
    for folder in (*_newest(snapshots), own):
        if any(weight_files(folder)):
            return ModelPlace(folder, "cache")
    return None


def _newest(folder: Path) -> list[Path]:
    found = list(folder.glob("*")) if folder.is_dir() else []
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def _bundle(system: System) -> ModelPlace | None:
    found = sorted((system.settings.cache_path / "models").glob("*.gguf"))
    return ModelPlace(found[0], "cache") if found else None


def hub_cache(system: System) -> Path:
    """Hugging Face's cache, wherever the environment puts it."""
    environ = system.environ
    if named := environ.get("HF_HUB_CACHE"):
        return Path(named)
    if home := environ.get("HF_HOME"):
        return Path(home) / "hub"
    base = environ.get("XDG_CACHE_HOME") or f"{environ.get('HOME', '/')}/.cache"
    return Path(base) / "huggingface" / "hub"


def kind_of(path: Path) -> Kind:
    """What is at a path, without an exception."""
    try:
        if path.is_dir():
            return "directory" if os.access(path, os.R_OK | os.X_OK) else "unreadable"
        if path.exists():
            return "file" if os.access(path, os.R_OK) else "unreadable"
    except OSError:
        return "unreadable"
    return "absent"


def listing(path: Path) -> list[Path]:
    """What a folder holds, or the file itself; empty when it cannot be looked at."""
    if path.is_file():
        return [path]
    try:
        return sorted(path.iterdir())
    except OSError:
        return []


def weight_files(path: Path) -> list[Path]:
    """The file, or the files of the folder, that hold weights by their names."""
    return [p for p in listing(path) if p.name.endswith(_WEIGHTS)]


def packs(system: System) -> list[Path]:
    """Packed models in the cache, newest first."""
    found = [p for p in listing(system.settings.cache_path / "packs") if p.suffix == ".qpack"]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def header_of(system: System, path: Path) -> Header | str:
    """The head of a weight file, or what is wrong with it. Read once a run."""

    def read() -> Header | str:
        try:
            return read_header(path)
        except Damaged as error:
            return str(error)
        except OSError as error:
            return error.strerror or str(error)
        except ValueError as error:  # an empty file cannot be mapped
            return str(error)

    return system.once(f"header {path}", read)


def headers(system: System) -> dict[Path, Header | str]:
    """Of all weight files that the settings mean."""
    place = model_place(system)
    files = weight_files(place.path) if place.path else []
    return {path: header_of(system, path) for path in files if path.is_file()}


def document(system: System, name: str) -> dict[str, Any] | str | None:
    """A JSON file of the model's folder: its object, what is wrong with it, or None: not there."""
    place = model_place(system)
    if place.path is None:
        return None
    folder = place.path if place.path.is_dir() else place.path.parent
    return system.once(f"document {name}", lambda: _document(folder / name))


def _document(path: Path) -> dict[str, Any] | str | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:
        return f"no JSON: {error}"
    return value if isinstance(value, dict) else "no JSON object"


def memory_need(system: System) -> int:
    """Bytes for weights, one conversation and the program, from what is on the disk."""
    weights, per_token = _USUAL_BYTES, 0
    known = packs(system)[:1] or list(headers(system))
    if known:
        weights = sum(path.stat().st_size for path in known)
        header = header_of(system, known[0])
        per_token = header.kv_bytes_per_token if isinstance(header, Header) else 0
    return weights + per_token * system.settings.ctx_size + _RESERVE_BYTES
