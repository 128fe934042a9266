"""The model's files: there, whole, and made for each other.

Reads heads and small files; only the deep checks read weights. Fetches nothing.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qwell.doctor.checks.host import LOCAL
from qwell.doctor.finding import Facts, Outcome, check, failed, passed, skipped, warned
from qwell.doctor.model_files import (
    PARTIAL,
    document,
    header_of,
    headers,
    kind_of,
    listing,
    model_place,
    packs,
    weight_files,
)
from qwell.doctor.weight_header import Damaged, Header, wrong_tensor

if TYPE_CHECKING:
    from qwell.doctor.system import System

_LFS = b"version https://git-lfs.github.com/spec/"
_HTML = re.compile(rb"\s*(<!doctype html|<html|<head|<\?xml)", re.IGNORECASE)
_END_OF_TURN = "<|im_end|>"
_BASE_NAME = re.compile(r"qwen2(\.5)?[- ](coder[- ])?[\d.]+b([- ]base)?", re.IGNORECASE)
PRESENT = ("model.present",)


@check("model.path", layer="model", needs=LOCAL)
def model_path(system: System) -> Outcome:
    """The path that the settings name exists."""
    place = model_place(system)
    if place.path is None:
        return passed(origin=place.origin, model=system.settings.model)
    if kind_of(place.path) == "absent":
        near = system.nearest(place.path)
        facts: Facts = {"path": str(place.path), "nearest": str(near)}
        return failed("nothing is at the model's path", "settings", **facts)
    return passed("settings", path=str(place.path), origin=place.origin)


@check("model.present", layer="model", needs=("model.path",))
def present(system: System) -> Outcome:
    """A model is on this machine, so that its files can be looked at."""
    place = model_place(system)
    if place.path is None:
        return skipped("no model is here yet: the first start fetches one")
    if kind_of(place.path) == "directory" and not listing(place.path):
        return skipped("the folder is empty: see container.model_mounted", path=str(place.path))
    return passed(path=str(place.path), origin=place.origin)


@check("model.readable", layer="model", needs=PRESENT)
def readable(system: System) -> Outcome:
    """Every file of the model may be read."""
    path = _path(system)
    for part in (path, *listing(path)):
        if kind_of(part) == "unreadable":
            owner = _owner(part)
            return failed("no right to read it", "access", path=str(part), **owner)
    return passed("access", path=str(path))


def _owner(path: Path) -> dict[str, Any]:
    try:
        state = path.stat()
    except OSError:
        return {"uid": os.getuid()}
    return {"owner": state.st_uid, "mode": oct(state.st_mode & 0o777), "uid": os.getuid()}


@check("model.download_complete", layer="model", needs=LOCAL)
def download_complete(system: System) -> Outcome:
    """No download was left half done in the model's place."""
    place = model_place(system)
    folder = place.path or system.settings.cache_path / "models"
    names = [part for part in listing(folder) if not part.name.startswith(".")]
    partial = [part.name for part in names if part.name.endswith(PARTIAL)]
    if partial and not any(weight_files(folder)):
        facts: Facts = {"path": str(folder), "file": partial[0]}
        return failed("a download stopped half way", "listing", **facts)
    return passed("listing", path=str(folder))


@check("model.weights_present", layer="model", needs=PRESENT)
def weights_present(system: System) -> Outcome:
    """There are weights, and every shard that the index names."""
    path = _path(system)
    index = document(system, "model.safetensors.index.json")
    if isinstance(index, dict) and path.is_dir():
        wanted = sorted({str(name) for name in index.get("weight_map", {}).values()})
        absent = [name for name in wanted if not (path / name).exists()]
        if absent:
            return failed("a shard is missing", "index", path=str(path), missing=absent[0])
    if not weight_files(path) and path.is_dir() and listing(path):
        return failed("no weight file is there", "listing", path=str(path))
    return passed("listing", n_files=len(weight_files(path)))


@check("model.lfs_pointer", layer="model", needs=PRESENT)
def lfs_pointer(system: System) -> Outcome:
    """The files are the files, not pointers of Git LFS."""
    return _none_starts(system, lambda start: start.startswith(_LFS), "a Git LFS pointer")


@check("model.html", layer="model", needs=PRESENT)
def html(system: System) -> Outcome:
    """The files are no web pages."""
    return _none_starts(system, lambda start: bool(_HTML.match(start)), "a web page")


def _none_starts(system: System, is_wrong: Any, what: str) -> Outcome:
    for part in _model_files(system):
        start = _start(part)
        if is_wrong(start):
            facts: Facts = {"path": str(part), "bytes": part.stat().st_size}
            return failed(f"the file is {what}", "first bytes", **facts)
    return passed("first bytes")


def _model_files(system: System) -> list[Path]:
    files = [p for p in listing(_path(system)) if p.suffix in (".json", *_SUFFIXES) and p.is_file()]
    return files or [p for p in [_path(system)] if p.is_file()]


_SUFFIXES = (".gguf", ".safetensors", ".qpack", ".bin", ".jinja", ".txt")


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(512)
    except OSError:
        return b""


@check("model.weights_complete", layer="model", needs=PRESENT)
def weights_complete(system: System) -> Outcome:
    """No weight file is shorter than its header says."""
    for path, header in headers(system).items():
        size = path.stat().st_size
        needed = header.bytes_needed if isinstance(header, Header) else int(size == 0)
        if size < needed:
            facts: Facts = {"path": str(path), "bytes": size, "bytes_needed": needed}
            return failed("the file is cut short", "header", **facts)
    return passed("header", n_files=len(headers(system)))


@check(
    "model.weights_sound",
    layer="model",
    needs=("model.lfs_pointer", "model.html", "model.readable", "model.weights_complete"),
)
def weights_sound(system: System) -> Outcome:
    """Every weight file has a header that makes sense."""
    for path, header in headers(system).items():
        if isinstance(header, str):
            return failed("it is no sound weight file", "header", path=str(path), found=header)
    return passed("header", n_files=len(headers(system)))


@check("model.pack_sound", layer="model", needs=LOCAL)
def pack_sound(system: System) -> Outcome:
    """The newest packed model is whole and its seal unbroken."""
    known = packs(system)
    if not known:
        return skipped("nothing is packed yet")
    header, size = header_of(system, known[0]), known[0].stat().st_size
    if isinstance(header, str):
        return failed("the pack is damaged", "seal", path=str(known[0]), found=header)
    if size != header.bytes_needed:
        facts: Facts = {"path": str(known[0]), "bytes": size, "bytes_needed": header.bytes_needed}
        return failed("the pack is damaged", "header", **facts)
    return passed("seal", path=str(known[0]))


@check("model.pack_digest", layer="model", needs=("model.pack_sound",), deep=True, timeout_s=60.0)
def pack_digest(system: System) -> Outcome:
    """Every byte of the packed weights is as it was written."""
    path = packs(system)[0]
    try:
        tensor = wrong_tensor(path)
    except Damaged as error:
        return failed("the pack is damaged", "seal", path=str(path), found=str(error))
    if tensor:
        return failed("bytes have changed", "sha256", path=str(path), tensor=tensor)
    return passed("sha256", path=str(path))


@check("model.config", layer="model", needs=PRESENT)
def config(system: System) -> Outcome:
    """config.json is there and is JSON, where weights cannot carry it themselves."""
    if not _is_folder_model(system):
        return skipped("the weight file carries its own configuration")
    found = document(system, "config.json")
    if found is None:
        return failed("config.json is missing", "listing", path=str(_path(system)))
    if isinstance(found, str):
        return failed("config.json cannot be read", "json", path=str(_path(system)), found=found)
    return passed("config.json", model_type=str(found.get("model_type", "")))


def _is_folder_model(system: System) -> bool:
    path = _path(system)
    return path.is_dir() and not any(p.suffix in (".gguf", ".qpack") for p in weight_files(path))


@check("model.architecture", layer="model", needs=PRESENT)
def architecture(system: System) -> Outcome:
    """The model is of the one architecture that the engine knows: Qwen2."""
    found = _architecture(system)
    if not found:
        return skipped("the files do not say")
    if found != "qwen2":
        facts: Facts = {"architecture": found, "path": str(_path(system))}
        return failed("another architecture", "configuration", **facts)
    return passed("configuration", architecture=found)


def _architecture(system: System) -> str:
    config = document(system, "config.json") if _is_folder_model(system) else None
    if isinstance(config, dict):
        return str(config.get("model_type", ""))
    return next((h.architecture for h in _heads(system)), "")


def _heads(system: System) -> list[Header]:
    return [h for h in headers(system).values() if isinstance(h, Header) and h.architecture]


@check("model.tokenizer", layer="model", needs=PRESENT)
def tokenizer(system: System) -> Outcome:
    """The tokenizer is there and can be read."""
    if not _is_folder_model(system):
        missing = [h for h in _heads(system) if h.kind == "gguf" and not h.n_tokens]
        if missing:
            return failed("the file has no vocabulary", "GGUF keys", path=str(_path(system)))
        return passed("weight file")
    found = document(system, "tokenizer.json")
    if isinstance(found, dict):
        return passed("tokenizer.json")
    facts: Facts = {"path": str(_path(system)), "found": found or "absent"}
    return failed("tokenizer.json is missing or unreadable", "tokenizer.json", **facts)


@check("model.tokenizer_is_fast", layer="model", needs=PRESENT)
def tokenizer_is_fast(system: System) -> Outcome:
    """tokenizer.json is there, not only the files from which it would be rebuilt each time."""
    path = _path(system)
    is_slow = (path / "vocab.json").exists() and not (path / "tokenizer.json").exists()
    if is_slow and _is_folder_model(system):
        return failed("only the slow tokenizer's files are there", "listing", path=str(path))
    return passed("listing")


@check("model.tokenizer_matches", layer="model", needs=("model.tokenizer",))
def tokenizer_matches(system: System) -> Outcome:
    """The tokenizer has no ids that the weights lack, and the end of a turn among them."""
    n_tokens, n_vocab = _vocabulary(system)
    if not n_tokens or not n_vocab:
        return skipped("the files do not say")
    facts: Facts = {"n_tokens": n_tokens, "n_vocab": n_vocab, "path": str(_path(system))}
    # embeddings are padded by some hundred rows; another model's differ by tens of thousands
    if n_tokens > n_vocab or n_vocab - n_tokens > 4096:
        return failed("the tokenizer is another model's", "tokenizer", **facts)
    return passed("tokenizer", **facts)


def _vocabulary(system: System) -> tuple[int, int]:
    """Highest token id plus one, and rows of the embedding."""
    if not _is_folder_model(system):
        return next(((h.n_tokens, h.n_vocab) for h in _heads(system) if h.n_tokens), (0, 0))
    words, config = document(system, "tokenizer.json"), document(system, "config.json")
    if not isinstance(words, dict) or not isinstance(config, dict):
        return 0, 0
    ids = [0, *_ids(words.get("model", {}).get("vocab")), *_added_ids(words)]
    return max(ids) + 1, int(config.get("vocab_size") or 0)


def _ids(vocabulary: object) -> list[int]:
    return list(vocabulary.values()) if isinstance(vocabulary, dict) else []


def _added_ids(words: dict[str, Any]) -> list[int]:
    added = words.get("added_tokens") or []
    return [token["id"] for token in added if isinstance(token, dict) and "id" in token]


@check("model.stop_token", layer="model", needs=("model.tokenizer",))
def stop_token(system: System) -> Outcome:
    """The token that ends a turn exists and is among those that end an answer."""
    words = document(system, "tokenizer.json") if _is_folder_model(system) else None
    if not isinstance(words, dict):
        return skipped("the weight file names it")
    ids = {t.get("content"): t.get("id") for t in words.get("added_tokens") or []}
    if _END_OF_TURN not in ids:
        facts: Facts = {"token": _END_OF_TURN, "path": str(_path(system))}
        return failed("the token that ends a turn is unknown", "tokenizer.json", **facts)
    return _listed_as_stop(system, ids[_END_OF_TURN])


def _listed_as_stop(system: System, end: Any) -> Outcome:
    generation = document(system, "generation_config.json")
    if not isinstance(generation, dict) or "eos_token_id" not in generation:
        return passed("tokenizer.json", id=end)
    named = generation["eos_token_id"]
    if end not in (named if isinstance(named, list) else [named]):
        facts: Facts = {"eos_token_id": str(named), "id": end, "path": str(_path(system))}
        return failed("it is not among the stop tokens", "generation_config.json", **facts)
    return passed("generation_config.json", id=end)


@check("model.chat_template", layer="model", needs=PRESENT)
def chat_template(system: System) -> Outcome:
    """The model brings the template that turns messages into a prompt."""
    found = _template(system)
    if found is None:
        return skipped("a pack was made with one")
    if not found.strip():
        return failed("no chat template", "tokenizer_config.json", path=str(_path(system)))
    return passed("template", characters=len(found))


@check("model.chat_template_fits", layer="model", needs=("model.chat_template",))
def chat_template_fits(system: System) -> Outcome:
    """The template writes turns in the way that Qwen2.5 was trained on."""
    found = _template(system) or ""
    missing = [word for word in ("<|im_start|>", _END_OF_TURN, "messages") if word not in found]
    if missing:
        facts: Facts = {"missing": " ".join(missing), "path": str(_path(system))}
        return failed("the template is another model's", "template", **facts)
    return passed("template")


def _template(system: System) -> str | None:
    """The text, "" when there is none, None when the file is a finished pack."""
    if not _is_folder_model(system):
        found = [h for h in _heads(system) if h.kind == "gguf"]
        return (found[0].template or "") if found else None
    own = _path(system) / "chat_template.jinja"
    if own.is_file():
        return own.read_text(encoding="utf-8", errors="replace")
    words = document(system, "tokenizer_config.json")
    text = words.get("chat_template") if isinstance(words, dict) else ""
    return text if isinstance(text, str) else str(text or "")


@check("model.instruct", layer="model", needs=PRESENT)
def instruct(system: System) -> Outcome:
    """The model was trained to chat, not only to continue text."""
    words = document(system, "tokenizer_config.json") if _is_folder_model(system) else None
    end = words.get("eos_token") if isinstance(words, dict) else None
    if end == "<|endoftext|>":
        facts: Facts = {"eos_token": end, "path": str(_path(system))}
        return failed(
            "a base model: it ends documents, not turns", "tokenizer_config.json", **facts
        )
    names = [str(head.facts.get("name", "")) for head in _heads(system)]
    base = [name for name in names if _BASE_NAME.fullmatch(name)]
    if base:
        return warned("the name is that of a base model", "GGUF keys", name=base[0])
    return passed("tokenizer_config.json")


@check("model.quantization", layer="model", needs=LOCAL)
def quantization(system: System) -> Outcome:
    """The weights are not rounded so far that answers suffer."""
    names = " ".join(p.name.lower() for p in _known_files(system))
    if found := re.search(r"(?<![a-z0-9])(iq[12]_\w+|q2_k\w*|q3_k_s)", names):
        return failed("too few bits for a small model", "file name", quant=found.group())
    return passed("file name", quant=system.settings.quant)


def _known_files(system: System) -> list[Path]:
    place = model_place(system)
    return weight_files(place.path) if place.path else []


def _path(system: System) -> Path:
    path = model_place(system).path
    assert path is not None, "needs model.present"
    return path
