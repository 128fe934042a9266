from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest

from qwell.errors import QwellError
from qwell.weights.convert import Quant, packed_bytes, plan, write_pack
from qwell.weights.dequantized import dequantized, dequantized_source
from qwell.weights.gguf_file import open_gguf
from qwell.weights.pack import read_pack
from qwell.weights.planes import Kind
from qwell.weights.source import Source, from_array
from qwell.weights.tiny import tiny_config, tiny_source


def packed(source: Source, quant: Quant, path: Path) -> Path:
    with path.open("wb") as file:
        write_pack(file, source, quant, origin={})
    return path


@pytest.mark.parametrize(
    ("kind", "quant", "lossless"),
    [
        ("Q5_0", "auto", True), ("Q5_0", "q8", True), ("Q8_0", "auto", True),
        ("Q4_0", "auto", True), ("Q4_0", "q8", True), ("Q4_0", "q5", True),
        ("Q4_1", "auto", True), ("Q4_1", "q8", False), ("F16", "q8", False),
    ],
)  # fmt: skip
def test_a_pack_holds_the_values_of_its_source(
    write_gguf: Callable[..., Path], tmp_path: Path, kind: str, quant: Quant, *, lossless: bool
) -> None:
    source = open_gguf(write_gguf(kind=kind))
    values = dequantized(packed(source, quant, tmp_path / "p.qpack"))
    wanted = dequantized_source(source.path)
    source.close()
    assert values.keys() == wanted.keys()
    for name, array in wanted.items():
        if "proj.weight" not in name:
            continue
        if lossless:
            np.testing.assert_array_equal(values[name], array, err_msg=name)
        else:
            assert np.linalg.norm(values[name] - array) < 0.01 * np.linalg.norm(array), name


def test_the_embedding_is_exact_for_32_value_types(
    write_gguf: Callable[..., Path], tmp_path: Path
) -> None:
    source = open_gguf(write_gguf(kind="Q5_0"))
    values = dequantized(packed(source, "q4", tmp_path / "p.qpack"))
    wanted = dequantized_source(source.path)
    source.close()
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        np.testing.assert_array_equal(values[name], wanted[name])


@pytest.mark.parametrize("n_kv_head", [1, 2, 4])
@pytest.mark.parametrize("tied", [True, False])
def test_shapes_are_those_of_the_config(tmp_path: Path, n_kv_head: int, *, tied: bool) -> None:
    config = tiny_config(n_kv_head=n_kv_head, head_dim=48, n_vocab=301, tied=tied)
    source = tiny_source(config, seed=0)
    values = dequantized(packed(source, "q8", tmp_path / "p.qpack"))
    shapes = {name: (t.rows, t.cols) for name, t in source.tensors.items()}
    assert {n: np.atleast_2d(a).shape for n, a in values.items()} == shapes


def test_auto_chooses_a_kind_for_each_tensor(write_gguf: Callable[..., Path]) -> None:
    source = open_gguf(write_gguf(kind="Q4_0"))
    mixed = dict(source.tensors)
    name = "model.layers.0.mlp.down_proj.weight"
    mixed[name] = from_array(mixed[name].floats(0, mixed[name].rows))
    parts = {p.specs[0].name: p.specs[0].kind for p in plan(replace(source, tensors=mixed), "auto")}
    source.close()
    assert parts["L0.down"] is Kind.Q5
    assert parts["L1.down"] is Kind.Q4


def test_the_meta_names_the_kind_of_most_weights_and_the_reason(tmp_path: Path) -> None:
    source = tiny_source(tiny_config(), seed=0)
    meta = read_pack(packed(source, "auto", tmp_path / "p.qpack")).meta
    assert meta["quant"] == "q5"
    assert meta["quant_why"].startswith("auto: each matrix")
    assert "100% q5" in meta["quant_why"]


def test_q4_keeps_attention_as_in_the_source(write_gguf: Callable[..., Path]) -> None:
    source = open_gguf(write_gguf(kind="Q5_0"))
    kinds = {part.specs[0].name: part.specs[0].kind for part in plan(source, "q4")}
    source.close()
    assert {kinds[f"L0.{name}"] for name in "qkvo"} == {Kind.Q5}
    assert {kinds[f"L0.{name}"] for name in ("gate", "up", "down")} == {Kind.Q4}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(tmp_path: Path, bad: float) -> None:
    source = tiny_source(tiny_config(), seed=0)
    name = "model.layers.1.mlp.up_proj.weight"
    array = source.tensors[name].floats(0, 128).copy()
    array[77, 5] = bad
    damaged = replace(source, tensors={**source.tensors, name: from_array(array)})
    with pytest.raises(QwellError, match=rf"weights-corrupt.*{name}"):
        packed(damaged, "q8", tmp_path / "p.qpack")


def test_a_scale_that_is_no_number_is_refused(
    write_gguf: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_gguf(kind="Q8_0")
    reader = gguf.GGUFReader(path)
    offset = next(t.data_offset for t in reader.tensors if t.name == "blk.1.ffn_up.weight")
    data = bytearray(path.read_bytes())
    data[offset + 34 : offset + 36] = np.float16(np.inf).tobytes()
    path.write_bytes(data)
    source = open_gguf(path)
    with pytest.raises(QwellError, match="weights-corrupt"):
        packed(source, "auto", tmp_path / "p.qpack")
    source.close()


def test_a_missing_tensor_is_named() -> None:
    source = tiny_source(tiny_config(), seed=0)
    name = "model.layers.1.self_attn.q_proj.bias"
    tensors = {n: t for n, t in source.tensors.items() if n != name}
    with pytest.raises(QwellError, match=rf"weights-truncated.*{name}"):
        write_pack(io.BytesIO(), replace(source, tensors=tensors), "q8", origin={})


def test_a_tensor_of_another_shape_is_named() -> None:
    source = tiny_source(tiny_config(), seed=0)
    name = "model.norm.weight"
    tensors = {**source.tensors, name: from_array(np.ones(32, np.float32))}
    with pytest.raises(QwellError, match=rf"weights-corrupt.*{name} is 1 x 32"):
        write_pack(io.BytesIO(), replace(source, tensors=tensors), "q8", origin={})


def test_packed_bytes_covers_the_file(tmp_path: Path) -> None:
    source = tiny_source(tiny_config(), seed=0)
    size = packed(source, "q8", tmp_path / "p.qpack").stat().st_size
    meta_offset = read_pack(tmp_path / "p.qpack")
    assert meta_offset.config.n_layer == 2
    assert size - 20_000 < packed_bytes(source, "q8") + 8192
