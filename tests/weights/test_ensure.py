from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qwell.config import Settings
from qwell.errors import QwellError
from qwell.weights import ensure, ensure_pack, pull
from qwell.weights.pack import PackWriter, read_pack, verify_pack
from qwell.weights.progress import Progress
from qwell.weights.tiny import write_tiny_pack


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    return lambda model, **more: Settings(
        model=str(model), cache_dir=str(tmp_path / "cache"), **more
    )


def packs(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "packs").glob("*.qpack*"))


def test_a_gguf_file_is_packed_once(
    write_gguf: Callable[..., Path], settings: Callable[..., Settings]
) -> None:
    seen: list[Progress] = []
    wanted = settings(write_gguf())
    first = ensure_pack(wanted, seen.append)
    assert seen[-1].stage == "pack"
    assert seen[-1].done == seen[-1].total
    written = first.path.stat().st_mtime_ns
    again = ensure_pack(wanted)
    assert again.path == first.path
    assert again.path.stat().st_mtime_ns == written
    assert again.meta == first.meta
    assert first.meta["name"] == "Tiny-Instruct"
    verify_pack(first.path)


def test_a_model_directory_is_packed(
    write_directory: Callable[..., Path], settings: Callable[..., Settings]
) -> None:
    model = ensure_pack(settings(write_directory(), quant="q8"))
    assert model.meta["quant"] == "q8"
    assert model.meta["source"]["origin"] == "path"


def test_a_ready_pack_is_used_where_it_lies(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    path = write_tiny_pack(tmp_path / "m.qpack")
    assert ensure_pack(settings(path)).path == path
    assert not packs(tmp_path)


def test_a_changed_source_is_packed_anew_and_the_old_pack_removed(
    write_gguf: Callable[..., Path], settings: Callable[..., Settings], tmp_path: Path
) -> None:
    path = write_gguf()
    first = ensure_pack(settings(path))
    state = path.stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    second = ensure_pack(settings(path))
    assert second.path != first.path
    assert packs(tmp_path) == [second.path]


def test_formats_and_models_keep_packs_of_their_own(
    write_gguf: Callable[..., Path], settings: Callable[..., Settings], tmp_path: Path
) -> None:
    ensure_pack(settings(write_gguf("a.gguf"), quant="q8"))
    ensure_pack(settings(write_gguf("a.gguf"), quant="q4"))
    ensure_pack(settings(write_gguf("b.gguf"), quant="q8"))
    assert len(packs(tmp_path)) == 3


@pytest.mark.parametrize("damage", [lambda raw: raw[:-10], lambda raw: b"x" + raw[1:]])
def test_a_damaged_pack_is_made_anew(
    write_gguf: Callable[..., Path],
    settings: Callable[..., Settings],
    damage: Callable[[bytes], bytes],
) -> None:
    wanted = settings(write_gguf())
    first = ensure_pack(wanted)
    first.path.write_bytes(damage(first.path.read_bytes()))
    verify_pack(ensure_pack(wanted).path)


def test_what_a_killed_packer_left_is_swept(
    write_gguf: Callable[..., Path], settings: Callable[..., Settings], tmp_path: Path
) -> None:
    leftover = tmp_path / "cache" / "packs" / "old.qpack.tmp"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(bytes(1000))
    ensure_pack(settings(write_gguf()))
    assert not leftover.exists()


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_nothing_half_written_stays(
    write_gguf: Callable[..., Path],
    settings: Callable[..., Settings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
) -> None:
    def fail(*args: Any) -> None:
        raise error

    monkeypatch.setattr(PackWriter, "finish", fail)
    with pytest.raises((QwellError, KeyboardInterrupt)):
        ensure_pack(settings(write_gguf()))
    assert packs(tmp_path) == []


def test_a_full_disk_is_seen_before_anything_is_written(
    write_gguf: Callable[..., Path],
    settings: Callable[..., Settings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(QwellError, match=r"disk-full.*the packed model"):
        ensure_pack(settings(write_gguf()))
    assert packs(tmp_path) == []


def test_two_packers_make_one_pack(
    write_gguf: Callable[..., Path], settings: Callable[..., Settings], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    wanted, written = settings(write_gguf()), []
    write = ensure._write
    monkeypatch.setattr(ensure, "_write", lambda *a: written.append(a) or write(*a))
    threads = [threading.Thread(target=ensure_pack, args=(wanted,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(written) == 1
    assert len(packs(tmp_path)) == 1


def test_a_bad_model_leaves_nothing(
    write_gguf: Callable[..., Path], settings: Callable[..., Settings], tmp_path: Path
) -> None:
    path = write_gguf()
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(QwellError, match="weights-truncated"):
        ensure_pack(settings(path))
    assert packs(tmp_path) == []


def test_the_package_itself_imports_nothing_heavy() -> None:
    """The doctor starts without numpy."""
    code = "import sys, qwell.weights; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_pull_makes_a_damaged_pack_anew(
    write_gguf: Callable[..., Path], settings: Callable[..., Settings]
) -> None:
    wanted = settings(write_gguf())
    first = ensure_pack(wanted)
    _, offset = read_pack(first.path).tensors["L0.up"]
    data = bytearray(first.path.read_bytes())
    data[offset + 500] ^= 1
    first.path.write_bytes(data)
    verify_pack(pull(wanted).path)


def test_pull_does_not_touch_a_persons_own_pack(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    path = write_tiny_pack(tmp_path / "m.qpack")
    data = bytearray(path.read_bytes())
    data[read_pack(path).tensors["L0.up"][1]] ^= 1
    path.write_bytes(data)
    with pytest.raises(QwellError, match=r"weights-corrupt.*L0\.up"):
        pull(settings(path))
    assert path.exists()
