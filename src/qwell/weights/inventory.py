"""What lies in the cache: packs and downloads, whether they are whole, and how to be rid of them.

Knows only the two folders that are qwell's own; files of a person or of a hub are never touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from qwell.config import Settings
from qwell.errors import QwellError
from qwell.weights.bundle import CODER
from qwell.weights.download import file_digest
from qwell.weights.ensure import models_dir, packs_dir
from qwell.weights.pack import SUFFIX, is_outdated, read_pack, verify_pack
from qwell.weights.progress import Progress, Report, unwatched

_DIGESTS: Mapping[str, str] = {CODER.file_name: CODER.sha256}


@dataclass(frozen=True, slots=True)
class Item:
    """kind pack: served as it is; download: what packs are made from.

    fault is empty, or what is wrong at first sight (without reading all of the bytes). Of a pack
    that is_outdated nothing more is known: an older version wrote it, the next start makes another.
    """

    kind: Literal["pack", "download"]
    path: Path
    n_bytes: int
    name: str = ""
    quant: str = ""
    source: str = ""
    fault: str = ""
    is_outdated: bool = False

    def to_dict(self) -> dict[str, Any]:
        """For JSON; what is not known is left out."""
        known = {"name": self.name, "quant": self.quant, "source": self.source, "fault": self.fault}
        facts: dict[str, Any] = {"kind": self.kind, "bytes": self.n_bytes, "path": str(self.path)}
        old = {"outdated": True} if self.is_outdated else {}
        return {key: fact for key, fact in known.items() if fact} | old | facts


def listed(settings: Settings) -> list[Item]:
    """Packs, then downloads; unfinished ones included."""
    packs = sorted(packs_dir(settings).glob(f"*{SUFFIX}"))
    folder = models_dir(settings)
    downloads = sorted(folder.iterdir()) if folder.is_dir() else []
    visible = [path for path in downloads if not path.name.startswith(".")]
    return [_pack(path) for path in packs] + [_download(path) for path in visible]


def chosen(settings: Settings, name: str) -> list[Item]:
    """The items of this model name, file name or path; raises QwellError when there is none."""
    items = listed(settings)
    same = [item for item in items if name in (item.name, item.path.name, str(item.path))]
    if not same:
        raise QwellError(
            "model-path-missing",
            found=f"nothing called {name!r} in {settings.cache_path}",
            expected=", ".join(item.name or item.path.name for item in items) or "a fetched model",
            fix="qwell models lists what is there",
        )
    return same


def verify(item: Item, report: Report = unwatched) -> bool:
    """Compare all bytes with their digests. False: none is known. Raises ``weights-corrupt``."""
    if item.kind == "pack":
        verify_pack(
            item.path, lambda n, total: report(Progress("verify", n, total, item.path.name))
        )
        return True
    expected = _DIGESTS.get(item.path.name)
    if expected is None:
        return False
    found = file_digest(
        item.path, lambda n: report(Progress("verify", n, item.n_bytes, item.path.name))
    )
    if found != expected:
        raise QwellError(
            "weights-corrupt",
            found=f"{item.path} with sha256 {found}",
            expected=f"sha256 {expected}",
            fix="qwell pull fetches it again",
        )
    return True


def remove(item: Item) -> None:
    """Delete it. A server that has it mapped keeps its copy until it stops."""
    if item.path.is_dir():
        import shutil

        shutil.rmtree(item.path)
    else:
        item.path.unlink()


def _pack(path: Path) -> Item:
    """A damaged one is listed with its fault: the next start makes it anew."""
    n_bytes = path.stat().st_size
    if is_outdated(path):
        return Item("pack", path, n_bytes, is_outdated=True)
    try:
        meta = read_pack(path).meta
    except QwellError as error:
        return Item("pack", path, n_bytes, fault=error.fault)
    source = str(meta.get("source", {}).get("origin", ""))
    return Item("pack", path, n_bytes, meta["name"], meta["quant"], source)


def _download(path: Path) -> Item:
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    n_bytes = sum(file.stat().st_size for file in files)
    is_partial = any(file.suffix == ".part" for file in files)
    name = path.name.replace("--", "/") if path.is_dir() else ""
    return Item("download", path, n_bytes, name, fault="download-interrupted" if is_partial else "")
