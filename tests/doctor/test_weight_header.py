"""The second reader agrees with the one that loads models, on sound files and on damaged ones."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwell.doctor.weight_header import Damaged, read_header, wrong_tensor
from qwell.weights.pack import read_pack
from qwell.weights.tiny import write_tiny_pack


def gguf(keys: dict[str, object], tensors: list[tuple[str, list[int], int, int]]) -> bytes:
    """A GGUF head: integers as u64, text as strings, lists as arrays of strings."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def value(item: object) -> bytes:
        if isinstance(item, str):
            return struct.pack("<I", 8) + text(item)
        if isinstance(item, list):
            return struct.pack("<IIQ", 9, 8, len(item)) + b"".join(map(text, item))
        return struct.pack("<IQ", 10, item)

    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    body = b"".join(text(name) + value(item) for name, item in keys.items())
    for name, shape, kind, offset in tensors:
        body += text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        body += struct.pack("<IQ", kind, offset)
    return head + body


KEYS: dict[str, object] = {
    "general.architecture": "qwen2",
    "general.name": "Tiny",
    "qwen2.block_count": 2,
    "qwen2.context_length": 128,
    "qwen2.embedding_length": 64,
    "qwen2.attention.head_count": 4,
    "qwen2.attention.head_count_kv": 2,
    "tokenizer.ggml.tokens": ["a", "b", "c"],
    "tokenizer.chat_template": "{{ messages }}",
}


def test_a_gguf_head(tmp_path: Path) -> None:
    head = gguf(KEYS, [("token_embd.weight", [32, 4], 8, 0)])
    path = tmp_path / "m.gguf"
    path.write_bytes(head + bytes(32) + bytes(4 * 34))
    found = read_header(path)
    assert (found.architecture, found.n_tokens, found.n_vocab) == ("qwen2", 3, 4)
    assert found.template == "{{ messages }}"
    assert found.kv_bytes_per_token == 2 * 2 * 2 * 16 * 2  # both, f16, layers, heads x width
    assert found.bytes_needed == -(-len(head) // 32) * 32 + 4 * 34


@given(cut=st.integers(8, 400))
@settings(max_examples=60)
def test_a_gguf_head_cut_anywhere_needs_more_bytes(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("cut") / "m.gguf"
    data = gguf(KEYS, [("token_embd.weight", [32, 4], 8, 0)])[:cut]
    path.write_bytes(data)
    assert read_header(path).bytes_needed > len(data)


@given(noise=st.binary(max_size=200))
@settings(max_examples=60)
def test_noise_is_damage_and_no_crash(
    noise: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("noise") / "m.safetensors"
    path.write_bytes(noise)
    try:
        promised = read_header(path).bytes_needed
    except Damaged:
        return
    assert promised > len(noise)  # the magic number of a GGUF file, and nothing behind it


def test_a_safetensors_head(tmp_path: Path) -> None:
    head = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(head).to_bytes(8, "little") + head + bytes(8))
    assert read_header(path).bytes_needed == path.stat().st_size


def test_a_pack_as_the_loader_reads_it(tmp_path: Path) -> None:
    path = write_tiny_pack(tmp_path / "m.qpack")
    found, config = read_header(path), read_pack(path).config
    assert found.bytes_needed == path.stat().st_size
    assert found.n_vocab == config.n_vocab
    assert found.n_ctx_train == config.n_ctx_train
    per_layer = config.n_kv_head * config.head_dim
    assert found.kv_bytes_per_token == 4 * config.n_layer * per_layer
    assert wrong_tensor(path) == ""


@pytest.mark.parametrize("at", [100, 200, -40])
def test_a_broken_seal(tmp_path: Path, at: int) -> None:
    path = write_tiny_pack(tmp_path / "m.qpack")
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(Damaged):
        read_header(path)


def test_a_flipped_bit_is_named_by_its_tensor(tmp_path: Path) -> None:
    path = write_tiny_pack(tmp_path / "m.qpack")
    name, (_, offset) = next(iter(read_pack(path).tensors.items()))
    data = bytearray(path.read_bytes())
    data[offset] ^= 4
    path.write_bytes(data)
    assert wrong_tensor(path) == name


def test_a_pack_of_another_version_is_left_to_the_loader(tmp_path: Path) -> None:
    path = write_tiny_pack(tmp_path / "m.qpack")
    data = bytearray(path.read_bytes())
    data[8] = 99
    path.write_bytes(data)
    assert read_header(path).bytes_needed == path.stat().st_size
