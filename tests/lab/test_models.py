"""Tiny models that say letters, in both formats."""

from __future__ import annotations

from pathlib import Path

from qwell.doctor.weight_header import Header, read_header
from qwell.lab.rig.models import write_folder, write_gguf


def test_a_folder_is_a_whole_model(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model")
    path = folder / "model.safetensors"
    header = read_header(path)
    assert isinstance(header, Header)
    assert header.bytes_needed == path.stat().st_size


def test_a_gguf_says_what_it_is(tmp_path: Path) -> None:
    header = read_header(write_gguf(tmp_path / "tiny.gguf"))
    assert isinstance(header, Header)
    assert header.architecture == "qwen2"
    assert header.template


def test_keys_can_be_left_out(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "plain.gguf", **{"tokenizer.chat_template": None})
    header = read_header(path)
    assert isinstance(header, Header)
    assert not header.template
