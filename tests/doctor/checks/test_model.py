"""A model's files, each damaged in the ways that happen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qwell.doctor.checks import CHECKS
from qwell.weights.tiny import write_tiny_pack

Status = Callable[[str, Any], str]
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m }}<|im_end|>{% endfor %}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory as hubs have it, with weights of a few bytes."""
    path = tmp_path / "model"
    path.mkdir()
    added = [
        {"content": "<|endoftext|>", "id": 100},
        {"content": "<|im_start|>", "id": 101},
        {"content": "<|im_end|>", "id": 102},
    ]
    vocabulary = {f"t{i}": i for i in range(100)}
    write(path / "tokenizer.json", {"added_tokens": added, "model": {"vocab": vocabulary}})
    write(path / "tokenizer_config.json", {"chat_template": TEMPLATE, "eos_token": "<|im_end|>"})
    write(path / "generation_config.json", {"eos_token_id": [102, 100]})
    write(path / "config.json", {"model_type": "qwen2", "vocab_size": 128})
    head = json.dumps({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    (path / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(16))
    return path


def write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


@pytest.fixture
def status_of(make_machine: Any, status: Status) -> Callable[[str, Path], str]:
    return lambda name, path: status(f"model.{name}", make_machine(model=str(path)))


def test_a_sound_model_raises_nothing(make_machine: Any, status: Status, folder: Path) -> None:
    machine = make_machine(model=str(folder))
    for check in CHECKS:
        if check.layer == "model" and not check.deep:
            assert status(check.id, machine) in ("pass", "skip"), check.id


def test_a_path_that_does_not_exist(status_of: Any, tmp_path: Path) -> None:
    assert status_of("path", tmp_path / "no" / "such") == "fail"


def test_no_model_yet_is_no_fault(machine: Any, status: Status) -> None:
    assert status("model.path", machine) == "pass"
    assert status("model.present", machine) == "skip"


def test_a_repository_that_is_still_to_be_fetched(make_machine: Any, status: Status) -> None:
    assert status("model.present", make_machine(model="Qwen/Qwen2.5-1.5B-Instruct")) == "skip"


def test_an_empty_folder_lacks_no_file(status_of: Any, tmp_path: Path) -> None:
    """A mount that brought nothing; container.model_mounted says so."""
    folder = tmp_path / "nothing"
    folder.mkdir()
    assert status_of("present", folder) == "skip"  # and so do all that need it


def test_a_pointer_of_git_lfs(status_of: Any, folder: Path) -> None:
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 988097824\n"
    (folder / "model.safetensors").write_text(text, encoding="utf-8")
    assert status_of("lfs_pointer", folder) == "fail"


def test_a_page_saved_as_a_model(status_of: Any, folder: Path) -> None:
    (folder / "config.json").write_text("<!DOCTYPE html><html>Log in</html>", encoding="utf-8")
    assert status_of("html", folder) == "fail"


def test_weights_cut_short(status_of: Any, folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-4])
    assert status_of("weights_complete", folder) == "fail"


def test_weights_of_nonsense(status_of: Any, folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 64)
    assert status_of("weights_sound", folder) == "fail"


def test_a_missing_shard(status_of: Any, folder: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    write(folder / "model.safetensors.index.json", index)
    assert status_of("weights_present", folder) == "fail"


def test_only_small_files(status_of: Any, folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert status_of("weights_present", folder) == "fail"


def test_an_unfinished_download(status_of: Any, folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model.safetensors.incomplete")
    assert status_of("download_complete", folder) == "fail"


@pytest.mark.parametrize("damage", ["absent", "no json"])
def test_config_json(status_of: Any, folder: Path, damage: str) -> None:
    if damage == "absent":
        (folder / "config.json").unlink()
    else:
        (folder / "config.json").write_text("{", encoding="utf-8")
    assert status_of("config", folder) == "fail"


def test_another_architecture(status_of: Any, folder: Path) -> None:
    write(folder / "config.json", {"model_type": "llama", "vocab_size": 128})
    assert status_of("architecture", folder) == "fail"


def test_a_missing_tokenizer(status_of: Any, folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    assert status_of("tokenizer", folder) == "fail"
    write(folder / "vocab.json", {})
    assert status_of("tokenizer_is_fast", folder) == "fail"


@pytest.mark.parametrize("n_vocab", [64, 99_000])
def test_the_tokenizer_of_another_model(status_of: Any, folder: Path, n_vocab: int) -> None:
    write(folder / "config.json", {"model_type": "qwen2", "vocab_size": n_vocab})
    assert status_of("tokenizer_matches", folder) == "fail"


def test_an_end_that_is_not_listed(status_of: Any, folder: Path) -> None:
    write(folder / "generation_config.json", {"eos_token_id": 100})
    assert status_of("stop_token", folder) == "fail"


@pytest.mark.parametrize(
    ("template", "present", "fits"),
    [("", "fail", "fail"), ("[INST] {{ messages }} [/INST]", "pass", "fail")],
)
def test_the_template(status_of: Any, folder: Path, template: str, present: str, fits: str) -> None:
    write(folder / "tokenizer_config.json", {"chat_template": template})
    assert status_of("chat_template", folder) == present
    assert status_of("chat_template_fits", folder) == fits


def test_a_base_model(status_of: Any, folder: Path) -> None:
    config = {"chat_template": TEMPLATE, "eos_token": "<|endoftext|>"}
    write(folder / "tokenizer_config.json", config)
    assert status_of("instruct", folder) == "fail"


def test_too_few_bits(status_of: Any, tmp_path: Path) -> None:
    (tmp_path / "qwen-q2_k.gguf").write_bytes(b"GGUF")
    assert status_of("quantization", tmp_path / "qwen-q2_k.gguf") == "fail"


def test_an_unreadable_file(
    make_machine: Any, status: Status, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qwell.doctor.checks import model

    monkeypatch.setattr(model, "kind_of", lambda path: "unreadable" if path != folder else "file")
    assert status("model.readable", make_machine(model=str(folder))) == "fail"


# ---- packs


@pytest.fixture
def pack(machine: Any) -> Path:
    path = Path(machine.settings.cache_path) / "packs" / "tiny.qpack"
    path.parent.mkdir(parents=True)
    return write_tiny_pack(path)


@pytest.mark.usefixtures("pack")
def test_a_sound_pack(machine: Any, status: Status) -> None:
    assert status("model.pack_sound", machine) == "pass"
    assert status("model.pack_digest", machine) == "pass"


def test_a_pack_cut_short(machine: Any, status: Status, pack: Path) -> None:
    pack.write_bytes(pack.read_bytes()[:-100])
    assert status("model.pack_sound", machine) == "fail"


def test_a_changed_header(machine: Any, status: Status, pack: Path) -> None:
    data = bytearray(pack.read_bytes())
    data[200] ^= 1
    pack.write_bytes(data)
    assert status("model.pack_sound", machine) == "fail"


def test_a_changed_weight_is_found_by_the_deep_check_alone(
    machine: Any, status: Status, pack: Path
) -> None:
    data = bytearray(pack.read_bytes())
    data[8192] ^= 1
    pack.write_bytes(data)
    assert status("model.pack_sound", machine) == "pass"
    assert status("model.pack_digest", machine) == "fail"
