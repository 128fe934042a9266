"""The real weights: the pack holds what the file holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qwell.weights import PackedModel
from qwell.weights.gguf_file import open_gguf
from qwell.weights.pack import read_pack, tensor_raw, verify_pack
from qwell.weights.planes import Kind, decode, values

pytestmark = pytest.mark.weights


def test_the_pack_says_what_it_is(real_pack: PackedModel) -> None:
    meta = real_pack.meta
    assert meta["name"] == "Qwen2.5-Coder-0.5B-Instruct"
    assert meta["quant"] == "q5"
    assert meta["stop_ids"] == [151645, 151643]
    assert meta["config"]["num_hidden_layers"] == 24
    assert len(meta["tokenizer"]["gguf"]["tokens"]) == 151936


def test_every_byte_is_as_written(real_pack: PackedModel) -> None:
    verify_pack(real_pack.path)


@pytest.mark.parametrize(
    ("short", "name", "kind"),
    [
        ("L3.gate", "model.layers.3.mlp.gate_proj.weight", Kind.Q5),
        ("L0.v", "model.layers.0.self_attn.v_proj.weight", Kind.Q8),
    ],
)
def test_five_and_eight_bit_tensors_are_exact(
    real_pack: PackedModel, real_gguf: Path, short: str, name: str, kind: Kind
) -> None:
    pack = read_pack(real_pack.path)
    spec, _ = pack.tensors[short]
    assert spec.kind is kind
    packed = values(kind, *decode(kind, tensor_raw(pack, short), spec.rows, spec.cols))
    source = open_gguf(real_gguf)
    wanted = source.tensors[name].floats(0, spec.rows)
    source.close()
    np.testing.assert_array_equal(packed, wanted)
