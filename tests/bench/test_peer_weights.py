"""A file's weights in another form: made once, under a name of their own, with the same values."""

from __future__ import annotations

import os
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf.quants import dequantize, quantize

from qwell.bench.peer_weights import Q4_0, Q8_0, Form, file_name

KINDS = {"a.weight": "Q5_0", "b.weight": "Q8_0", "norm.weight": "F32"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A GGUF file with one small tensor of each kind and settings of several types."""
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_block_count(24)
    writer.add_token_list(["a", "ä"])
    rng = np.random.default_rng(1)
    for name, kind in KINDS.items():
        wanted = gguf.GGMLQuantizationType[kind]
        data = quantize(rng.standard_normal((4, 64), np.float32), wanted)
        writer.add_tensor(name, data, raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def read(path: Path) -> dict[str, tuple[str, np.ndarray]]:
    """Each tensor's kind and values."""
    return {
        t.name: (t.tensor_type.name, dequantize(t.data, t.tensor_type))
        for t in gguf.GGUFReader(path).tensors
    }


def test_q8_0_takes_the_place_of_q5_0_alone_and_keeps_the_values(source: Path) -> None:
    before, after = read(source), read(Q8_0.of(source, source.parent / "peers"))
    assert {name: kind for name, (kind, _) in after.items()} == KINDS | {"a.weight": "Q8_0"}
    for name, (_, values) in before.items():
        np.testing.assert_allclose(after[name][1], values, atol=0.02)


def test_q4_0_takes_the_place_of_every_matrix(source: Path) -> None:
    after = read(Q4_0.of(source, source.parent / "peers"))
    assert {name: kind for name, (kind, _) in after.items()} == {
        "a.weight": "Q4_0",
        "b.weight": "Q4_0",
        "norm.weight": "F32",
    }


def test_settings_come_along(source: Path) -> None:
    fields = gguf.GGUFReader(Q8_0.of(source, source.parent / "peers")).fields
    assert fields["general.architecture"].contents() == "qwen2"
    assert fields["qwen2.block_count"].contents() == 24
    assert fields["tokenizer.ggml.tokens"].contents() == ["a", "ä"]


def test_a_form_is_made_once(source: Path, tmp_path: Path) -> None:
    made: list[Path] = []

    def make(_: Path, target: Path) -> None:
        made.append(target)
        target.mkdir()

    form = Form("onnx-int4", make)
    assert form.of(source, tmp_path / "peers") == form.of(source, tmp_path / "peers")
    assert len(made) == 1


def test_a_form_that_fails_leaves_nothing(source: Path, tmp_path: Path) -> None:
    def make(_: Path, target: Path) -> None:
        target.write_text("half")
        raise RuntimeError("no room")

    with pytest.raises(RuntimeError, match="no room"):
        Form("x.gguf", make).of(source, tmp_path / "peers")
    assert not list((tmp_path / "peers").iterdir())


def test_the_name_changes_with_the_source(source: Path) -> None:
    before = file_name(source, "q8_0.gguf")
    assert before.startswith("model-")
    assert before.endswith("-q8_0.gguf")
    os.utime(source, ns=(0, 0))
    assert file_name(source, "q8_0.gguf") != before
