from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from qwell.errors import QwellError
from qwell.weights import scan
from qwell.weights.blocks import TYPES
from qwell.weights.convert import Quant, codes, packed_bytes, plan, why, write_pack
from qwell.weights.dequantized import dequantized, dequantized_source
from qwell.weights.gguf_file import open_gguf
from qwell.weights.pack import read_pack, tensor_raw
from qwell.weights.planes import Kind, decode, values
from qwell.weights.source import Source, Tensor, from_array
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
    parts = {p.spec.name: p.spec.kind for p in plan(replace(source, tensors=mixed), "auto")}
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
    kinds = {part.spec.name: part.spec.kind for part in plan(source, "q4")}
    source.close()
    assert {kinds[f"L0.{name}"] for name in "qkvo"} == {Kind.Q5}
    assert {kinds[f"L0.{name}"] for name in ("gate", "up", "down")} == {Kind.Q4D}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(tmp_path: Path, bad: float) -> None:
    source = tiny_source(tiny_config(), seed=0)
    name = "model.layers.1.mlp.up_proj.weight"
    array = source.tensors[name].floats(0, 128).copy()
    array[77, 5] = bad
    damaged = replace(source, tensors={**source.tensors, name: from_array(array)})
    with pytest.raises(QwellError, match=rf"weights-corrupt.*{name}"):
        packed(damaged, "q8", tmp_path / "p.qpack")


def test_weights_beyond_float16_are_refused_by_q4(tmp_path: Path) -> None:
    source = tiny_source(tiny_config(), seed=0)
    name = "model.layers.1.mlp.up_proj.weight"
    array = source.tensors[name].floats(0, 128).copy()
    array[77, 5] = 2e6
    huge = replace(source, tensors={**source.tensors, name: from_array(array)})
    with pytest.raises(QwellError, match=rf"weights-corrupt.*{name}"):
        packed(huge, "q4", tmp_path / "p.qpack")


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q4_1"])
def test_q4_is_close_to_its_source(
    write_gguf: Callable[..., Path], tmp_path: Path, kind: str
) -> None:
    source = open_gguf(write_gguf(kind=kind))
    path = packed(source, "q4", tmp_path / "p.qpack")
    values, wanted = dequantized(path), dequantized_source(source.path)
    source.close()
    assert read_pack(path).meta["quant"] == "q4"
    allowed = 0.1 if kind == "Q8_0" else 0.01
    for name in (name for name in wanted if "mlp" in name):
        error = np.linalg.norm(values[name] - wanted[name])
        assert 0 < error < allowed * np.linalg.norm(wanted[name]), name


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


def test_a_code_that_the_engine_cannot_multiply_is_moved_by_one() -> None:
    block = np.concatenate([np.ones(1, np.float16).view(np.uint8), np.full(32, 128, np.uint8)])
    tensor = Tensor(TYPES["Q8_0"], 1, 32, lambda _first, _last: block)
    u, d, _ = codes(tensor, block[None], Kind.ROWS)
    assert (u.view(np.int8) == -127).all()
    assert d.tolist() == [1]


def test_a_narrow_head_is_scanned_as_it_is(tmp_path: Path) -> None:
    source = tiny_source(tiny_config(tied=False), seed=0)
    pack = read_pack(packed(source, "q8", tmp_path / "p.qpack"))
    assert [n for n in pack.tensors if n[0] != "L"] == ["embd", "head", "head.scan", "out_norm"]
    spec, _ = pack.tensors["head.scan"]
    assert (spec.kind, spec.rows, spec.cols) == (Kind.SCAN, 272, 64)
    seen = values(spec.kind, *decode(spec.kind, tensor_raw(pack, "head.scan"), 272, 64))
    wanted = source.tensors["lm_head.weight"].floats(0, 259)
    assert np.linalg.norm(seen[:259] - wanted) < 0.2 * np.linalg.norm(wanted)
    assert not seen[259:].any()


@pytest.fixture
def wide() -> Source:
    return tiny_source(tiny_config(n_embd=512, n_layer=1), seed=0)


@pytest.fixture
def without_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    """States as long in every direction: a tiny model's mean nothing, and take seconds."""

    def moments(source: Source, layer_done: Callable[[], None]) -> Any:
        for _ in range(source.config["num_hidden_layers"]):
            layer_done()
        return np.eye(512)

    monkeypatch.setattr(scan, "second_moments", moments)


@pytest.mark.usefixtures("without_calibration")
def test_a_wide_head_is_scanned_in_a_basis(wide: Source, tmp_path: Path) -> None:
    pack = read_pack(packed(wide, "q8", tmp_path / "p.qpack"))
    names = ["embd", "head.scan", "head.turn", "head.mean", "out_norm"]
    assert [n for n in pack.tensors if n[0] != "L"] == names
    shapes = {n: (pack.tensors[n][0].rows, pack.tensors[n][0].cols) for n in names}
    assert shapes["head.scan"] == (272, 512)
    assert shapes["head.turn"] == (512, 512)
    assert shapes["head.mean"] == (1, 512)
    seen = values(Kind.SCAN, *decode(Kind.SCAN, tensor_raw(pack, "head.scan"), 272, 512))
    assert not seen[259:].any()
    turn, mean = (tensor_raw(pack, f"head.{n}").view(np.float32) for n in ("turn", "mean"))
    rows = wide.tensors["model.embed_tokens.weight"].floats(0, 259)
    np.testing.assert_allclose(mean, rows.mean(axis=0), atol=1e-6)
    guess = seen[:259] @ turn.reshape(512, 512) + mean
    assert np.linalg.norm(guess - rows) < 0.35 * np.linalg.norm(rows)


def test_the_same_source_gives_the_same_bytes(wide: Source, tmp_path: Path) -> None:
    first, again = (packed(wide, "q5", tmp_path / f"{i}.qpack") for i in range(2))
    assert first.read_bytes() == again.read_bytes()


@pytest.mark.usefixtures("without_calibration")
def test_progress_ends_at_its_total(wide: Source, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with (tmp_path / "p.qpack").open("wb") as file:
        write_pack(file, wide, "q8", origin={}, report=lambda *step: seen.append(step))
    done = [n for n, _ in seen]
    assert done == sorted(done)
    assert {total for _, total in seen} == {done[-1]}


def test_what_a_token_reads_is_told(wide: Source) -> None:
    parts = plan(wide, "q8")
    apart = ("embd", "head.mean", "out_norm")
    matrices = [p.spec for p in parts if p.spec.name not in apart and "_" not in p.spec.name]
    assert f"; {sum(s.n_bytes for s in matrices) / 1e6:.0f} MB read" in why("q8", parts)


@pytest.mark.parametrize(
    "name", ["model.embed_tokens.weight", "model.norm.weight", "model.layers.0.mlp.up_proj.weight"]
)
def test_what_is_no_number_is_named_before_the_model_runs(
    wide: Source, tmp_path: Path, name: str
) -> None:
    tensor = wide.tensors[name]
    array = tensor.floats(0, tensor.rows).copy()
    array[-1, 5] = np.nan
    damaged = replace(wide, tensors={**wide.tensors, name: from_array(array)})
    with pytest.raises(QwellError, match=rf"weights-corrupt.*{name}"):
        packed(damaged, "q8", tmp_path / "p.qpack")


def test_packed_bytes_covers_the_file(tmp_path: Path) -> None:
    source = tiny_source(tiny_config(), seed=0)
    size = packed(source, "q8", tmp_path / "p.qpack").stat().st_size
    meta_offset = read_pack(tmp_path / "p.qpack")
    assert meta_offset.config.n_layer == 2
    assert size - 20_000 < packed_bytes(source, "q8") + 8192
