"""The model's files: cut, damaged, replaced by something else, or made for each other no more.

Each case damages a copy of a tiny model in one way; the packs made from it are removed, so that
the damage is met. By hand, the files are fetched anew: put back from the copy.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from qwell.lab.case import Effect, NotInjected, in_turn, injector
from qwell.lab.patient import Patient
from qwell.lab.rig.models import write_gguf
from qwell.weights.tiny import SPECIAL

WEIGHTS = "model.safetensors"
POINTER = """\
version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 988097824
"""
PAGE = "<!DOCTYPE html>\n<html><head><title>Just a moment...</title></head><body></body></html>\n"
LLAMA_TEMPLATE = (
    "{% for message in messages %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% endfor %}"
)


@contextmanager
def _kept(patient: Patient) -> Iterator[tuple[Path, Callable[[], None]]]:
    """The model's folder, and what puts it back; nothing packed, nothing served."""
    folder = Path(patient.settings["model"])
    copy = patient.folder / "model.kept"
    shutil.copytree(folder, copy)

    def put_back() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(copy, folder)
        _forget_packs(patient)

    try:
        with patient.stopped():
            _forget_packs(patient)
            try:
                yield folder, put_back
            finally:
                patient.stop()
                put_back()
    finally:
        shutil.rmtree(copy)


def _forget_packs(patient: Patient) -> None:
    shutil.rmtree(patient.folder / "cache" / "packs", ignore_errors=True)


def _damaged(
    fault: str,
    variant: str,
    damage: Callable[[Path], str],
    *,
    clue: str = "model",
    quick: bool = False,
    flags: tuple[str, ...] = (),
    trouble: Callable[[Patient], str] = Patient.trouble,
) -> None:
    """Declare a case. damage: changes the folder, returns what then can be read there."""

    def inject(patient: Patient) -> Iterator[Effect]:
        with _kept(patient) as (folder, put_back):
            proof = damage(folder)
            patient.start()
            yield Effect(
                proof=proof,
                trouble=lambda: trouble(patient) if patient.server else patient.start_trouble(),
                clue=clue,
                by_hand=in_turn(patient.stop, put_back, patient.start),
                flags=flags,
            )

    inject.__doc__ = damage.__doc__
    injector(fault, variant, who="tiny", quick=quick)(inject)


def _replace(name: str, content: str | bytes) -> Callable[[Path], str]:
    def damage(folder: Path) -> str:
        raw = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(raw)
        return f"{name}: {raw[:60]!r}"

    damage.__doc__ = f"Something else has the name {name}."
    return damage


def _remove(*names: str) -> Callable[[Path], str]:
    def damage(folder: Path) -> str:
        for name in names:
            (folder / name).unlink()
        return f"there are {sorted(path.name for path in folder.iterdir())}"

    damage.__doc__ = f"{' and '.join(names)} did not come along."
    return damage


def _json(name: str, **changes: Any) -> Callable[[Path], str]:
    def damage(folder: Path) -> str:
        found = json.loads((folder / name).read_text(encoding="utf-8")) | changes
        kept = {key: value for key, value in found.items() if value is not None}
        (folder / name).write_text(json.dumps(kept), encoding="utf-8")
        return f"{name}: {changes}"

    damage.__doc__ = f"{name} says something else."
    return damage


def _cut(name: str, share: float) -> Callable[[Path], str]:
    def damage(folder: Path) -> str:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * share)])
        return f"{name}: {int(len(content) * share)} of {len(content)} bytes"

    damage.__doc__ = f"{name} ends too early."
    return damage


def _scrambled(folder: Path) -> str:
    """The head of the weight file is noise."""
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[8:200] = bytes(range(1, 193))
    (folder / WEIGHTS).write_bytes(content)
    return f"{WEIGHTS}: {bytes(content[8:24])!r}"


def _shard_missing(folder: Path) -> str:
    """An index names two files, and one is there."""
    (folder / WEIGHTS).rename(folder / "model-00001-of-00002.safetensors")
    names = {"lm_head.weight": "model-00002-of-00002.safetensors"}
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": names}))
    return f"there are {sorted(path.name for path in folder.iterdir())}"


def _interrupted(folder: Path) -> str:
    """A download that stopped: only its unfinished file is there."""
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).unlink()
    (folder / f"{WEIGHTS}.incomplete").write_bytes(content[: len(content) // 3])
    return f"there are {sorted(path.name for path in folder.iterdir())}"


def _other_vocabulary(folder: Path) -> str:
    """The tokenizer of a model with far more words."""
    words = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    for i in range(259, 6000):
        words["model"]["vocab"][f"word{i}"] = i
    (folder / "tokenizer.json").write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")
    return "6000 words in tokenizer.json, 264 rows in the weights"


def _slow_files(folder: Path) -> str:
    """Only the files are there from which tokenizer.json would be made."""
    words = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    (folder / "vocab.json").write_text(json.dumps(words["model"]["vocab"]), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    (folder / "tokenizer.json").unlink()
    return f"there are {sorted(path.name for path in folder.iterdir())}"


def _without_end_of_turn(folder: Path) -> str:
    """The token that ends a turn is unknown to the tokenizer."""
    words = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    words["added_tokens"] = [t for t in words["added_tokens"] if t["content"] != "<|im_end|>"]
    (folder / "tokenizer.json").write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")
    return "no <|im_end|> among the added tokens"


_damaged("weights-truncated", "cut-in-half", _cut(WEIGHTS, 0.5), clue="bytes", quick=True)
_damaged("weights-truncated", "nearly-whole", _cut(WEIGHTS, 0.999), clue="bytes")
_damaged("weights-truncated", "empty-file", _replace(WEIGHTS, b""))
_damaged("weights-truncated", "shard-missing", _shard_missing, clue="00002")
_damaged("weights-corrupt", "scrambled-head", _scrambled, quick=True)
_damaged("lfs-pointer", "weights", _replace(WEIGHTS, POINTER), quick=True)
_damaged("lfs-pointer", "tokenizer", _replace("tokenizer.json", POINTER))
_damaged("html-instead-of-model", "weights", _replace(WEIGHTS, PAGE), quick=True)
_damaged("html-instead-of-model", "config", _replace("config.json", PAGE))
_damaged("download-interrupted", "unfinished-file", _interrupted, clue="incomplete", quick=True)
_damaged("config-json-missing", "absent", _remove("config.json"), quick=True)
_damaged("config-json-missing", "no-json", _replace("config.json", '{"model_type": '))
_damaged("tokenizer-missing", "absent", _remove("tokenizer.json"))
_damaged("tokenizer-missing", "no-json", _replace("tokenizer.json", "{]"))
_damaged("tokenizer-mismatch", "more-words", _other_vocabulary, clue="6000", quick=True)
_damaged(
    "chat-template-missing",
    "no-template",
    _json("tokenizer_config.json", chat_template=None),
    quick=True,
)
_damaged("stop-token-missing", "not-in-tokenizer", _without_end_of_turn)
_damaged("tokenizer-missing", "only-vocab-and-merges", _slow_files)
_damaged("unsupported-architecture", "llama", _json("config.json", model_type="llama"), quick=True)
_damaged(
    "unsupported-architecture",
    "mamba",
    _json("config.json", model_type="mamba", architectures=["MambaForCausalLM"]),
)


@injector("model-path-missing", "mistyped", who="tiny", quick=True, uses="model")
def mistyped_path(patient: Patient) -> Iterator[Effect]:
    """The settings name a folder that is not there."""
    right = patient.settings["model"]
    wrong = right.replace("/model", "/modle")
    with patient.restarted(model=wrong):
        yield Effect(
            proof=f"{wrong}: {Path(wrong).exists()}",
            trouble=patient.trouble,
            clue=wrong,
            by_hand=lambda: _serve(patient, right),
        )


@injector("model-path-missing", "relative-from-elsewhere", who="tiny")
def relative_path(patient: Patient) -> Iterator[Effect]:
    """A path that was right in another working folder."""
    right = patient.settings["model"]
    with patient.restarted(model="./models/qwen"):
        yield Effect(
            proof=f"{patient.folder}/models/qwen is not there",
            trouble=patient.trouble,
            clue="models/qwen",
            by_hand=lambda: _serve(patient, right),
        )


def _serve(patient: Patient, model: str) -> None:
    from qwell.doctor.config_file import write_settings

    write_settings(patient.config, {"model": model})
    patient.restart()


def _with_gguf(
    fault: str, variant: str, name: str, damage: Callable[[Path], str], **keys: Any
) -> None:
    """Declare a case with a GGUF file in place of the folder."""

    def inject(patient: Patient) -> Iterator[Effect]:
        path = patient.folder / name
        right = patient.settings["model"]
        write_gguf(path, **keys)
        try:
            proof = damage(path)
            with patient.restarted(model=str(path)):
                yield Effect(
                    proof=proof,
                    trouble=patient.trouble,
                    clue=name if fault != "base-model-used" else "name",
                    by_hand=lambda: _serve(patient, right),
                )
        finally:
            path.unlink()

    inject.__doc__ = damage.__doc__
    injector(fault, variant, who="tiny", modules=("gguf",))(inject)


def _half(path: Path) -> str:
    """A GGUF file that ends in the middle."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return f"{len(content) // 2} of {len(content)} bytes"


def _no_magic(path: Path) -> str:
    """A GGUF file whose first bytes are not those of one."""
    path.write_bytes(b"\0\0\0\0" + path.read_bytes()[4:])
    return f"{path.read_bytes()[:8]!r}"


def _as_it_is(path: Path) -> str:
    """The file says of itself what is wrong."""
    return f"{path.name}: {path.stat().st_size} bytes"


_with_gguf("weights-truncated", "gguf", "half.gguf", _half)
_with_gguf("weights-corrupt", "gguf-magic", "noise.gguf", _no_magic)
_with_gguf(
    "chat-template-missing", "gguf", "plain.gguf", _as_it_is, **{"tokenizer.chat_template": None}
)
_with_gguf(
    "unsupported-architecture", "gguf", "other.gguf", _as_it_is, **{"general.architecture": "gemma"}
)


# ---- quietly worse answers


@injector("stop-token-missing", "wrong-id-in-configuration", who="tiny")
def wrong_stop_id(patient: Patient) -> Iterator[Effect]:
    """generation_config.json names a token that never comes."""
    damage = _json("generation_config.json", eos_token_id=5)
    with _kept(patient) as (folder, put_back):
        proof = damage(folder)
        patient.start()
        yield Effect(
            proof=proof,
            trouble=lambda: "answers end only at the limit" if "5" in _stop_ids(folder) else "",
            clue="eos_token_id",
            by_hand=in_turn(patient.stop, put_back, patient.start),
        )


def _stop_ids(folder: Path) -> str:
    found = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    return str([found["eos_token_id"]]) if isinstance(found["eos_token_id"], int) else ""


@injector("base-model-used", "ends-documents", who="tiny")
def base_model(patient: Patient) -> Iterator[Effect]:
    """The model that was trained to go on with texts, not to answer."""
    with _kept(patient) as (folder, put_back):
        changes = {"eos_token": "<|endoftext|>"}
        proof = _json("tokenizer_config.json", **changes)(folder)
        patient.start()

        def take_the_other() -> None:
            patient.stop()
            put_back()
            patient.start()

        def trouble() -> str:
            words = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
            chat = patient.chat(max_tokens=32)
            is_base = words["eos_token"] != SPECIAL[2]
            return "it goes on and on" if is_base and chat.reason == "length" else chat.error

        yield Effect(proof=proof, trouble=trouble, clue="endoftext", by_hand=take_the_other)


@injector("chat-template-wrong", "of-llama", who="tiny")
def other_template(patient: Patient) -> Iterator[Effect]:
    """The template of another family of models: turns are written as this one never saw them."""
    usual = patient.chat(max_tokens=24).text
    with _kept(patient) as (folder, put_back):
        proof = _json("tokenizer_config.json", chat_template=LLAMA_TEMPLATE)(folder)
        patient.start()
        yield Effect(
            proof=proof,
            trouble=lambda: _differs(patient, usual),
            clue="model",
            by_hand=in_turn(patient.stop, put_back, patient.start),
        )


@injector("quantization-damage", "two-bits", who="tiny", modules=("gguf",))
def two_bits(patient: Patient) -> Iterator[Effect]:
    """Every matrix is rounded to four values."""
    name = "tiny-q2_k.gguf"
    path = patient.folder / name
    right = patient.settings["model"]
    usual = patient.chat(max_tokens=24).text
    write_gguf(path, rounding=_round)
    try:
        with patient.restarted(model=str(path)):
            yield Effect(
                proof=f"{name}: four values in each matrix",
                trouble=lambda: _differs(patient, usual),
                clue="q2_k",
                by_hand=lambda: _serve(patient, right),
            )
    finally:
        path.unlink()


def _round(array: np.ndarray) -> np.ndarray:
    if array.ndim < 2:
        return array
    step = float(np.abs(array).max()) / 2
    return np.asarray(np.clip(np.round(array / step), -2, 1) * step, dtype=np.float32)


def _differs(patient: Patient, usual: str) -> str:
    chat = patient.chat(max_tokens=24)
    return chat.error or ("" if chat.text == usual else f"{chat.text!r} instead of {usual!r}")


@injector("weights-corrupt", "one-byte-of-the-pack", who="tiny", quick=True)
def flipped_byte(patient: Patient) -> Iterator[Effect]:
    """One byte of the packed weights has changed; nothing else tells."""
    packs = sorted((patient.folder / "cache" / "packs").glob("*.qpack"))
    if not packs:
        raise NotInjected("nothing is packed")
    pack = packs[-1]
    usual = patient.chat(max_tokens=24).text
    with patient.stopped():
        whole = pack.read_bytes()
        content = bytearray(whole)
        for offset in range(len(content) * 3 // 4, len(content) * 3 // 4 + 4096):
            content[offset] ^= 0x40
        pack.write_bytes(content)
        try:
            patient.start()
            yield Effect(
                proof=f"{pack.name}: 4096 bytes changed",
                trouble=lambda: _differs(patient, usual),
                clue=pack.name,
                flags=("--deep",),
            )
        finally:
            patient.stop()
            for made in pack.parent.glob("*"):
                made.unlink()
            pack.write_bytes(whole)
