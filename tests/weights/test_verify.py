from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from qwell.weights.locate import Located
from qwell.weights.progress import Progress, unwatched
from qwell.weights.verify import discard_damaged, known_digests

BODY = b"weights" * 1000
DIGEST = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """As in Hugging Face's cache: a link to a blob named after its digest, and a small file."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / DIGEST).write_bytes(BODY)
    folder = tmp_path / "snapshots" / "abc"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").symlink_to(tmp_path / "blobs" / DIGEST)
    (folder / "config.json").write_text("{}")
    return folder


def test_a_sound_download_stays(snapshot: Path) -> None:
    seen: list[Progress] = []
    found = Located(snapshot, "directory", "cache")
    assert known_digests(found) == {snapshot / "model.safetensors": DIGEST}
    assert discard_damaged(found, seen.append) == []
    assert seen[-1].done == seen[-1].total == len(BODY)


def test_a_damaged_download_goes_with_its_link(snapshot: Path, tmp_path: Path) -> None:
    (tmp_path / "blobs" / DIGEST).write_bytes(BODY[:-1] + b"?")
    damaged = discard_damaged(Located(snapshot, "directory", "cache"), unwatched)
    assert damaged == [snapshot / "model.safetensors"]
    assert [p.name for p in snapshot.iterdir()] == ["config.json"]
    assert not list((tmp_path / "blobs").iterdir())


def test_the_bundle_has_a_digest(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(BODY[1:])
    assert discard_damaged(Located(path, "gguf", "cache", "m", DIGEST), unwatched) == [path]
    assert not path.exists()


def test_a_persons_own_files_are_left_alone(snapshot: Path) -> None:
    assert known_digests(Located(snapshot, "directory", "path")) == {}
