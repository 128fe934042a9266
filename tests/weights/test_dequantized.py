from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qwell.weights.dequantized import dequantized
from qwell.weights.pack import read_pack, tensor_raw
from qwell.weights.tiny import tiny_config, tiny_source, write_tiny_pack


@pytest.mark.parametrize("tied", [True, False])
def test_what_comes_back_is_the_model_and_nothing_else(tmp_path: Path, *, tied: bool) -> None:
    values = dequantized(write_tiny_pack(tmp_path / "p.qpack", seed=4, tied=tied))
    source = tiny_source(tiny_config(tied=tied), seed=4)
    assert values.keys() == source.tensors.keys()
    for name, tensor in source.tensors.items():
        wanted = tensor.floats(0, tensor.rows)
        assert np.linalg.norm(values[name] - wanted) < 0.01 * np.linalg.norm(wanted), name


def test_an_embedding_is_its_codes_times_their_scales(tmp_path: Path) -> None:
    path = write_tiny_pack(tmp_path / "p.qpack")
    rows = tensor_raw(read_pack(path), "embd").reshape(272, 64 + 4)
    codes = rows[:, :64].copy().view(np.int8).reshape(272, 2, 32).astype(np.float32)
    scales = rows[:, 64:].copy().view(np.float16).astype(np.float32)
    wanted = (codes * scales[:, :, None]).reshape(272, 64)
    np.testing.assert_array_equal(dequantized(path)["model.embed_tokens.weight"], wanted[:259])
    assert not wanted[259:].any()
