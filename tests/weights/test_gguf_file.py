from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qwell.errors import QwellError
from qwell.weights.gguf_file import open_gguf, read_header


def fault_of(path: Path) -> str:
    with pytest.raises(QwellError) as refused:
        open_gguf(path)
    assert str(path) in refused.value.found
    assert refused.value.fix
    return refused.value.fault


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q8_0", "Q5_0", "Q4_0", "Q4_1"])
def test_tensors_equal_those_of_the_reference_reader(
    write_gguf: Callable[..., Path], kind: str
) -> None:
    path = write_gguf(kind=kind)
    source = open_gguf(path)
    reference = {t.name: t for t in gguf.GGUFReader(path).tensors}
    _, places = read_header(path)
    assert places.keys() == reference.keys()
    tensor = source.tensors["model.layers.1.mlp.down_proj.weight"]
    wanted = reference["blk.1.ffn_down.weight"]
    np.testing.assert_array_equal(
        tensor.floats(3, 9), gguf.dequantize(wanted.data, wanted.tensor_type)[3:9]
    )
    source.close()


def test_keys_equal_those_of_the_reference_reader(write_gguf: Callable[..., Path]) -> None:
    path = write_gguf()
    keys, _ = read_header(path)
    reference = gguf.GGUFReader(path).fields
    assert {k: f.contents() for k, f in reference.items() if not k.startswith("GGUF.")} == keys


def test_what_a_source_says(write_gguf: Callable[..., Path]) -> None:
    source = open_gguf(write_gguf())
    source.close()
    assert source.name == "Tiny-Instruct"
    assert source.config["rope_theta"] == 10000.0
    assert source.config["tie_word_embeddings"] is False
    assert source.stop_ids == (258, 256)
    assert source.generation_config["repetition_penalty"] == 1.1
    assert source.tokenizer["gguf"]["merges"] == ["a b"]
    assert source.tokenizer["gguf"]["eos"] == 258


def test_without_an_output_matrix_the_head_is_tied(write_gguf: Callable[..., Path]) -> None:
    source = open_gguf(write_gguf(tied=True))
    source.close()
    assert source.config["tie_word_embeddings"] is True


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"change": {"general.architecture": "llama"}}, "unsupported-architecture"),
        ({"change": {"qwen2.rope.scaling.type": "yarn"}}, "unsupported-architecture"),
        ({"change": {"split.count": 2}}, "unsupported-architecture"),
        ({"leave_out": ("tokenizer.ggml.tokens",)}, "tokenizer-missing"),
        ({"leave_out": ("tokenizer.ggml.merges",)}, "tokenizer-missing"),
        ({"change": {"tokenizer.ggml.pre": "llama-bpe"}}, "tokenizer-mismatch"),
        ({"change": {"tokenizer.ggml.tokens": ["a"] * 99}}, "stop-token-missing"),
        ({"change": {"tokenizer.ggml.tokens": ["<|im_end|>"] * 300}}, "tokenizer-mismatch"),
        ({"leave_out": ("tokenizer.chat_template",)}, "chat-template-missing"),
        ({"leave_out": ("qwen2.block_count",)}, "config-json-missing"),
        ({"change": {"qwen2.attention.head_count": 5}}, "unsupported-architecture"),
        ({"change": {"qwen2.attention.layer_norm_rms_epsilon": "x"}}, "config-json-missing"),
        ({"change": {"tokenizer.ggml.merges": "a b"}}, "tokenizer-missing"),
        ({"change": {"general.alignment": "x"}}, "weights-corrupt"),
    ],
)
def test_models_that_cannot_be_served(
    write_gguf: Callable[..., Path], options: dict[str, Any], fault: str
) -> None:
    assert fault_of(write_gguf(**options)) == fault


@pytest.mark.parametrize("keep", [5, 20, 3000, -1, -5000])
def test_a_truncated_file(write_gguf: Callable[..., Path], keep: int) -> None:
    path = write_gguf()
    path.write_bytes(path.read_bytes()[:keep])
    assert fault_of(path) == "weights-truncated"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(offset=st.integers(0, 6000), bit=st.integers(0, 7))
def test_a_flipped_bit_in_the_header_never_crashes(
    write_gguf: Callable[..., Path], offset: int, bit: int
) -> None:
    """Either the change means nothing to the model, or it is refused with a name."""
    path = write_gguf("flipped.gguf")
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)
    try:
        open_gguf(path).close()
    except QwellError as refused:
        assert refused.fault  # noqa: PT017  both outcomes are right


def test_an_unknown_version(write_gguf: Callable[..., Path]) -> None:
    path = write_gguf()
    data = bytearray(path.read_bytes())
    data[4] = 9
    path.write_bytes(data)
    assert fault_of(path) == "weights-corrupt"


def test_a_tensor_type_that_is_not_read(write_gguf: Callable[..., Path]) -> None:
    path = write_gguf(kind="Q5_1")
    assert fault_of(path) == "unsupported-architecture"


def test_reading_goes_on_after_the_file_shrank(write_gguf: Callable[..., Path]) -> None:
    path = write_gguf()
    source = open_gguf(path)
    path.write_bytes(path.read_bytes()[:6000])
    with pytest.raises(QwellError, match="weights-truncated"):
        source.tensors["model.layers.1.mlp.down_proj.weight"].floats(0, 64)
    source.close()
