from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from qwell.errors import QwellError
from qwell.weights.blocks import TYPES
from qwell.weights.safetensors_file import open_directory, read_table


def fault_of(folder: Path) -> str:
    with pytest.raises(QwellError) as refused:
        open_directory(folder)
    assert str(folder) in refused.value.found
    assert refused.value.fix
    return refused.value.fault


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def shard(folder: Path) -> None:
    """Split model.safetensors in two, as large models are."""
    arrays = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    halves = {f"model-{i}-of-2.safetensors": dict(list(arrays.items())[i - 1 :: 2]) for i in (1, 2)}
    for name, half in halves.items():
        save_file(half, folder / name)
    weight_map = {tensor: name for name, half in halves.items() for tensor in half}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("sharded", [False, True])
def test_tensors_equal_those_of_the_reference_reader(
    write_directory: Callable[..., Path], dtype: type, *, sharded: bool
) -> None:
    folder = write_directory(dtype=dtype)
    reference = load_file(folder / "model.safetensors")
    if sharded:
        shard(folder)
    source = open_directory(folder)
    assert source.tensors.keys() == reference.keys()
    for name, array in reference.items():
        tensor = source.tensors[name]
        whole = tensor.floats(0, tensor.rows)
        np.testing.assert_array_equal(whole, np.atleast_2d(array).astype(np.float32))
    source.close()


def test_bfloat16_is_the_upper_half_of_float32(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file as save_torch

    values = torch.randn(4, 32, dtype=torch.bfloat16)
    save_torch({"x": values}, tmp_path / "b.safetensors")
    table, start = read_table(tmp_path / "b.safetensors")
    assert table["x"]["dtype"] == "BF16"
    raw = np.fromfile(tmp_path / "b.safetensors", np.uint8, offset=start).reshape(-1, 2)
    decoded = TYPES["BF16"].dequantize(raw).reshape(4, 32)
    np.testing.assert_array_equal(decoded, values.float().numpy())


def test_what_a_source_says(write_directory: Callable[..., Path]) -> None:
    source = open_directory(write_directory())
    source.close()
    assert source.name == "Tiny-Instruct"
    assert source.generation_config == {"temperature": 0.5}
    assert source.stop_ids == (258, 256)
    assert "<|im_start|>" in source.chat_template
    assert json.loads(source.tokenizer["json"])["model"]["type"] == "BPE"


def test_a_directory_called_model_takes_its_name_from_the_config(
    write_directory: Callable[..., Path],
) -> None:
    folder = write_directory("model")
    edit(folder / "config.json", _name_or_path="Qwen/Qwen2.5-0.5B-Instruct")
    source = open_directory(folder)
    source.close()
    assert source.name == "Qwen2.5-0.5B-Instruct"


def test_a_template_in_a_file_of_its_own(write_directory: Callable[..., Path]) -> None:
    folder = write_directory()
    (folder / "tokenizer_config.json").unlink()
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    source = open_directory(folder)
    source.close()
    assert source.chat_template == "{{ messages }}"


def test_defaults_where_there_is_no_generation_config(write_directory: Callable[..., Path]) -> None:
    folder = write_directory()
    (folder / "generation_config.json").unlink()
    source = open_directory(folder)
    source.close()
    assert source.generation_config["top_k"] == 20


@pytest.mark.parametrize(
    ("absent", "fault"),
    [
        ("config.json", "config-json-missing"),
        ("tokenizer.json", "tokenizer-missing"),
        ("tokenizer_config.json", "chat-template-missing"),
        ("model.safetensors", "weights-truncated"),
    ],
)
def test_an_absent_file(write_directory: Callable[..., Path], absent: str, fault: str) -> None:
    folder = write_directory()
    (folder / absent).unlink()
    assert fault_of(folder) == fault


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "lfs-pointer"),
        (b"<!DOCTYPE html><html><title>Login</title>", "html-instead-of-model"),
        (b"", "weights-truncated"),
    ],
)
def test_something_else_under_a_models_name(
    write_directory: Callable[..., Path], name: str, content: bytes, fault: str
) -> None:
    folder = write_directory()
    (folder / name).write_bytes(content)
    assert fault_of(folder) == fault


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"model_type": "llama"}, "unsupported-architecture"),
        ({"quantization_config": {"quant_method": "awq"}}, "unsupported-architecture"),
        ({"use_sliding_window": True}, "unsupported-architecture"),
        ({"rope_scaling": {"type": "yarn", "factor": 4}}, "unsupported-architecture"),
        ({"hidden_size": 50}, "unsupported-architecture"),
        ({"hidden_size": "64"}, "config-json-missing"),
        ({"num_hidden_layers": 0}, "config-json-missing"),
        ({"head_dim": -64}, "config-json-missing"),
        ({"rms_norm_eps": "x"}, "config-json-missing"),
        ({"rope_theta": -1}, "config-json-missing"),
        ({"rope_parameters": "none"}, "config-json-missing"),
        ({"vocab_size": 100}, "tokenizer-mismatch"),
    ],
)
def test_a_config_that_cannot_be_served(
    write_directory: Callable[..., Path], changes: dict[str, object], fault: str
) -> None:
    folder = write_directory()
    edit(folder / "config.json", **changes)
    assert fault_of(folder) == fault


@pytest.mark.parametrize("text", ["{", "[]", "nonsense"])
def test_a_config_that_is_no_json_object(write_directory: Callable[..., Path], text: str) -> None:
    folder = write_directory()
    (folder / "config.json").write_text(text)
    assert fault_of(folder) == "config-json-missing"


@pytest.mark.parametrize(
    ("keep", "fault"),
    [(4, "weights-corrupt"), (100, "weights-truncated"), (-1, "weights-truncated")],
)
def test_a_truncated_file(write_directory: Callable[..., Path], keep: int, fault: str) -> None:
    folder = write_directory()
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    assert fault_of(folder) == fault


def test_an_absent_shard_is_named(write_directory: Callable[..., Path]) -> None:
    folder = write_directory()
    shard(folder)
    (folder / "model-2-of-2.safetensors").unlink()
    with pytest.raises(QwellError, match=r"weights-truncated.*model-2-of-2\.safetensors"):
        open_directory(folder)


def test_a_table_with_impossible_offsets(write_directory: Callable[..., Path]) -> None:
    folder = write_directory()
    file = folder / "model.safetensors"
    raw = file.read_bytes()
    file.write_bytes(raw.replace(b'"data_offsets":[0,', b'"data_offsets":[4,', 1))
    assert fault_of(folder) == "weights-corrupt"
