"""The one call others need: from settings to a packed model that can be mapped.

Decides where packs lie, who may write them and when one is made anew.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from qwell.config import Settings
from qwell.errors import QwellError
from qwell.weights import safetensors_file
from qwell.weights.convert import Quant, packed_bytes, write_pack
from qwell.weights.disk import require_space, writing
from qwell.weights.gguf_file import open_gguf
from qwell.weights.locate import Located, Places, locate
from qwell.weights.lock import alone_in
from qwell.weights.pack import SUFFIX, VERSION, Pack, read_pack, verify_pack
from qwell.weights.progress import Progress, Report, unwatched
from qwell.weights.safetensors_file import open_directory
from qwell.weights.source import Source
from qwell.weights.verify import discard_damaged

log = logging.getLogger(__name__)

_META_ROOM = 32_000_000  # tokenizer and template in the pack, generously


@dataclass(frozen=True, slots=True)
class PackedModel:
    path: Path
    meta: dict[str, Any]


def models_dir(settings: Settings) -> Path:
    """Where downloads are kept."""
    return settings.cache_path / "models"


def packs_dir(settings: Settings) -> Path:
    """Where packs are kept."""
    return settings.cache_path / "packs"


def ensure_pack(
    settings: Settings, report: Report = unwatched, *, places: Places | None = None
) -> PackedModel:
    """Find the model of the settings, fetch and pack it if needed.

    A pack made earlier is used as it is while its source has the same size, time and inode.
    Raises QwellError with the fault that fits; nothing half-written stays under a final name.
    """
    where = places or Places(models_dir(settings))
    located = locate(settings.model, settings.quant, where, report)
    if located.format == "pack":
        return _checked(read_pack(located.path))
    target = packs_dir(settings) / _pack_name(located, settings.quant)
    return _ready(target) or _make(located, settings, target, report)


def pull(
    settings: Settings, report: Report = unwatched, *, places: Places | None = None
) -> PackedModel:
    """As ensure_pack, but compares all bytes with their digests first.

    Damaged downloads and packs are removed and made anew. Raises as ensure_pack.
    """
    where = places or Places(models_dir(settings))
    discard_damaged(locate(settings.model, settings.quant, where, report), report)
    model = ensure_pack(settings, report, places=where)
    if model.path.parent != packs_dir(settings):  # a person's own pack is not ours to delete
        _verify(model.path, report)
        return model
    try:
        _verify(model.path, report)
    except QwellError as error:
        log.warning("packing again: %s", error.found)
        model.path.unlink()
        return ensure_pack(settings, report, places=where)
    return model


def _verify(path: Path, report: Report) -> None:
    verify_pack(path, lambda done, total: report(Progress("verify", done, total, path.name)))


def _checked(pack: Pack) -> PackedModel:
    return PackedModel(pack.path, pack.meta)


def _ready(target: Path) -> PackedModel | None:
    """The pack if it is there and whole; a damaged one counts as absent."""
    if not target.is_file():
        return None
    try:
        return _checked(read_pack(target))
    except QwellError as error:
        log.warning("packing again: %s", error.found)
        return None


def source_files(located: Located) -> list[Path]:
    """The files that a pack depends on."""
    if located.format == "gguf":
        return [located.path]
    small = sorted(located.path.glob("*.json")) + sorted(located.path.glob("*.jinja"))
    return [*small, *safetensors_file.weight_files(located.path)]


def stamp(located: Located) -> str:
    """Changes when a source file is changed or replaced; reads no contents."""
    digest = hashlib.sha256(f"{VERSION}\0{located.name}".encode())
    for file in source_files(located):
        state = file.stat()
        digest.update(f"{file.name}\0{state.st_size}\0{state.st_mtime_ns}\0{state.st_ino}".encode())
    return digest.hexdigest()[:16]


def _family(located: Located, quant: str) -> str:
    """The part of a pack's name that stays when its source changes."""
    place = hashlib.sha256(str(located.path.resolve()).encode()).hexdigest()[:8]
    words = re.sub(r"[^\w.-]+", "-", located.name or located.path.stem)
    return f"{words}-{quant}-{place}-"


def _pack_name(located: Located, quant: str) -> str:
    return _family(located, quant) + stamp(located) + SUFFIX


def _open(located: Located) -> Source:
    opener = open_gguf if located.format == "gguf" else open_directory
    return opener(located.path, name=located.name or None)


def _make(located: Located, settings: Settings, target: Path, report: Report) -> PackedModel:
    with writing(target.parent), alone_in(target.parent, "pack", report):
        _sweep(target.parent)
        if ready := _ready(target):  # another process was faster
            return ready
        source = _open(located)
        try:
            _write(located, source, cast("Quant", settings.quant), target, report)
        finally:
            source.close()
        _drop_older(target, _family(located, settings.quant))
    return _checked(read_pack(target))


def _sweep(folder: Path) -> None:
    """Remove what killed packers left. Only under the lock: then no one else is writing."""
    for leftover in folder.glob(f"*{SUFFIX}.tmp"):
        leftover.unlink()


def _drop_older(target: Path, family: str) -> None:
    """Remove packs of earlier states of the same source; a process that maps one keeps it."""
    for pack in target.parent.glob(f"*{SUFFIX}"):
        if pack.name.startswith(family) and pack != target:
            pack.unlink()


def _write(located: Located, source: Source, quant: Quant, target: Path, report: Report) -> None:
    require_space(target.parent, packed_bytes(source, quant) + _META_ROOM, "the packed model")
    unfinished = target.with_name(target.name + ".tmp")
    origin = {
        "origin": located.origin,
        "path": str(located.path),
        "digest": f"sha256:{located.sha256}" if located.sha256 else f"stamp:{stamp(located)}",
    }
    try:
        with unfinished.open("wb") as file:
            write_pack(
                file,
                source,
                quant,
                origin=origin,
                report=lambda done, total: report(Progress("pack", done, total, source.name)),
            )
        unfinished.replace(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _sync(target.parent)


def _sync(folder: Path) -> None:
    """Make the rename survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
