from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from qwell.errors import QwellError
from qwell.weights.download import check_digest, file_digest, get_file

BODY = os.urandom(3_000_000)
DIGEST = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "m.bin"


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def fetch(site: Any, target: Path, digest: str = DIGEST) -> list[int]:
    seen: list[int] = []
    get_file(f"{site.url}/m", target, size=len(BODY), sha256=digest, report=seen.append)
    return seen


def test_a_whole_file(site: Any, target: Path) -> None:
    site.files["/m"] = BODY
    assert fetch(site, target)[-1] == len(BODY)
    assert target.read_bytes() == BODY
    assert names(target.parent) == ["m.bin"]


def test_a_broken_connection_goes_on_where_it_stopped(site: Any, target: Path) -> None:
    site.files["/m"] = BODY
    site.cut_after = 1_200_000
    fetch(site, target)
    assert target.read_bytes() == BODY
    assert [span for _, _, span in site.asked] == ["", "bytes=1200000-"]


def test_an_earlier_process_left_a_part(site: Any, target: Path) -> None:
    site.files["/m"] = BODY
    target.parent.mkdir()
    (target.parent / "m.bin.part").write_bytes(BODY[:2_000_000])
    fetch(site, target)
    assert target.read_bytes() == BODY
    assert site.asked[0][2] == "bytes=2000000-"


def test_a_part_that_is_too_long_is_dropped(site: Any, target: Path) -> None:
    site.files["/m"] = BODY
    target.parent.mkdir()
    (target.parent / "m.bin.part").write_bytes(bytes(len(BODY) + 5))
    fetch(site, target)
    assert target.read_bytes() == BODY


def test_a_wrong_digest_leaves_nothing(site: Any, target: Path) -> None:
    site.files["/m"] = BODY
    with pytest.raises(QwellError, match=f"weights-corrupt.*{DIGEST}"):
        fetch(site, target, "0" * 64)
    assert names(target.parent) == []


@pytest.mark.parametrize("status", [404, 403])
def test_a_refusal_is_not_repeated(site: Any, target: Path, status: int) -> None:
    site.replies["/m"] = (status, b"<html>no</html>")
    with pytest.raises(QwellError, match=f"download-interrupted.*{status}"):
        fetch(site, target)
    assert len(site.asked) == 1
    assert names(target.parent) == []


def test_a_server_in_trouble_is_asked_again_and_then_named(site: Any, target: Path) -> None:
    site.replies["/m"] = (503, b"")
    with pytest.raises(QwellError, match=r"download-interrupted.*same command again"):
        fetch(site, target)
    assert len(site.asked) == 4


def test_digests(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(BODY)
    assert file_digest(path) == DIGEST
    check_digest(path, DIGEST)
    with pytest.raises(QwellError, match="weights-corrupt"):
        check_digest(path, "0" * 64)
    assert not path.exists()
