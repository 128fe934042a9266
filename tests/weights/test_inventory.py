"""What lies in the cache, whether it is whole, and nothing else is ever touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from qwell.config import Settings
from qwell.errors import QwellError
from qwell.weights.bundle import CODER
from qwell.weights.inventory import chosen, listed, remove, verify
from qwell.weights.tiny import write_tiny_pack


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "packs").mkdir()
    (tmp_path / "models" / "Qwen--Tiny").mkdir(parents=True)
    return Settings(cache_dir=str(tmp_path))


def test_packs_and_downloads_are_listed(settings: Settings) -> None:
    pack = write_tiny_pack(settings.cache_path / "packs" / "a.qpack")
    folder = settings.cache_path / "models" / "Qwen--Tiny"
    (folder / "model.safetensors").write_bytes(b"12345")
    (settings.cache_path / "models" / "x.gguf.part").write_bytes(b"1")
    first, repo, part = listed(settings)
    assert (first.kind, first.path, first.quant) == ("pack", pack, "q8")
    assert (repo.kind, repo.name, repo.n_bytes) == ("download", "Qwen/Tiny", 5)
    assert part.fault == "download-interrupted"


def test_an_empty_cache_is_an_empty_list(tmp_path: Path) -> None:
    assert listed(Settings(cache_dir=str(tmp_path / "none"))) == []


def test_a_changed_byte_is_found(settings: Settings) -> None:
    path = write_tiny_pack(settings.cache_path / "packs" / "a.qpack")
    (item,) = chosen(settings, "a.qpack")
    assert verify(item)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(QwellError, match="weights-corrupt"):
        verify(item)


def test_a_download_is_compared_with_its_pinned_digest(settings: Settings) -> None:
    (settings.cache_path / "models" / CODER.file_name).write_bytes(b"not it")
    (item,) = chosen(settings, CODER.file_name)
    with pytest.raises(QwellError) as damaged:
        verify(item)
    assert damaged.value.fault == "weights-corrupt"
    assert "qwell pull" in damaged.value.fix


def test_without_a_digest_that_is_said(settings: Settings) -> None:
    (item,) = chosen(settings, "Qwen/Tiny")
    assert not verify(item)


def test_removing_takes_the_one_and_leaves_the_rest(settings: Settings) -> None:
    write_tiny_pack(settings.cache_path / "packs" / "a.qpack")
    for item in chosen(settings, "Qwen/Tiny"):
        remove(item)
    (item,) = listed(settings)
    remove(item)
    assert listed(settings) == []


@pytest.mark.parametrize("name", ["nothing", "../packs", "", "/etc/passwd"])
def test_only_what_is_listed_can_be_chosen(settings: Settings, name: str) -> None:
    with pytest.raises(QwellError) as refused:
        chosen(settings, name)
    assert refused.value.fault == "model-path-missing"
    assert "qwell models" in refused.value.fix
