from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from qwell.errors import QwellError
from qwell.weights.pack import read_pack, tensor_raw, verify_pack
from qwell.weights.planes import Kind
from qwell.weights.tiny import write_tiny_pack


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny_pack(tmp_path / "tiny.qpack", quant="q5")


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def test_header_is_what_the_document_says(tiny: Path) -> None:
    raw = tiny.read_bytes()
    magic, version, n_tensors, size, meta_offset, meta_bytes = struct.unpack_from("<8sIIQQQ", raw)
    assert (magic, version, size) == (b"QWELLPK1", 6, len(raw))
    assert raw[40:64] == bytes(24)
    assert struct.unpack_from("<10I", raw, 64) == (259, 64, 2, 4, 2, 16, 128, 1024, 1, 272)
    assert struct.unpack_from("<2f", raw, 128) == (1_000_000.0, np.float32(1e-6))
    assert raw[meta_offset : meta_offset + 1] == b"{"
    assert meta_offset + meta_bytes + 32 == size
    names = [raw[192 + 96 * i :][:64].rstrip(b"\0").decode() for i in range(n_tensors)]
    assert names[:3] == ["embd", "head.scan", "out_norm"]
    assert set(names) == set(read_pack(tiny).tensors)


def test_tensors_start_on_pages_and_do_not_overlap(tiny: Path) -> None:
    end = 0
    for spec, offset in read_pack(tiny).tensors.values():
        assert offset % 4096 == 0
        assert offset >= end
        end = offset + spec.n_bytes


def test_meta_is_complete(tiny: Path) -> None:
    meta = read_pack(tiny).meta
    assert {
        "name", "source", "quant", "architecture", "config", "tokenizer", "chat_template",
        "generation_config", "stop_ids",
    } <= set(meta)  # fmt: skip
    assert meta["quant"] == "q5"
    assert meta["stop_ids"] == [258, 256]


def test_tensor_raw_reads_one_tensor(tiny: Path) -> None:
    pack = read_pack(tiny)
    assert pack.tensors["out_norm"][0].kind is Kind.F32
    assert tensor_raw(pack, "out_norm").view(np.float32).shape == (64,)


def test_a_sound_pack_verifies(tiny: Path) -> None:
    seen: list[tuple[int, int]] = []
    verify_pack(tiny, lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] > 0


@pytest.mark.parametrize(
    ("where", "fault"), [(8, "weights-corrupt"), (70, "weights-corrupt"), (200, "weights-corrupt")]
)
def test_a_changed_head_is_refused(tiny: Path, where: int, fault: str) -> None:
    flip(tiny, where)
    with pytest.raises(QwellError) as refused:
        read_pack(tiny)
    assert refused.value.fault == fault


def test_a_changed_meta_is_refused(tiny: Path) -> None:
    flip(tiny, tiny.stat().st_size - 100)
    with pytest.raises(QwellError, match="weights-corrupt"):
        read_pack(tiny)


def test_a_changed_tensor_is_found_by_name(tiny: Path) -> None:
    _, offset = read_pack(tiny).tensors["L1.up"]
    flip(tiny, offset + 1000)
    read_pack(tiny)
    with pytest.raises(QwellError, match=r"weights-corrupt.*L1\.up"):
        verify_pack(tiny)


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda raw: raw[:-1], "weights-truncated"),
        (lambda raw: raw[:5000], "weights-truncated"),
        (lambda raw: raw + b"x", "weights-corrupt"),
        (lambda raw: raw[:20], "weights-corrupt"),
        (lambda _: b"", "weights-corrupt"),
    ],
)
def test_a_wrong_size_is_refused(tiny: Path, damage: Callable[[bytes], bytes], fault: str) -> None:
    tiny.write_bytes(damage(tiny.read_bytes()))
    with pytest.raises(QwellError) as refused:
        read_pack(tiny)
    assert refused.value.fault == fault
    assert "rm" in refused.value.fix
