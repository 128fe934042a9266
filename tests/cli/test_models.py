"""`qwell models` and `qwell pull`: what is there, and what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qwell.weights.tiny import write_tiny_pack


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    folder = tmp_path / "cache" / "packs"
    folder.mkdir(parents=True)
    return folder


def test_packs_are_listed_with_name_quant_and_size(qwell: Any, tmp_path: Path, packs: Path) -> None:
    pack = write_tiny_pack(packs / "a.qpack")
    done = qwell("models", "--json", "--cache-dir", str(tmp_path / "cache"))
    (row,) = json.loads(done.stdout)
    assert row["quant"] == "q8"
    assert row["bytes"] == pack.stat().st_size
    assert row["path"] == str(pack)
    assert row["name"] in qwell("models", "--cache-dir", str(tmp_path / "cache")).stdout


def test_a_damaged_pack_is_listed_with_its_fault(qwell: Any, tmp_path: Path, packs: Path) -> None:
    (packs / "b.qpack").write_bytes(b"not a pack")
    done = qwell("models", "--cache-dir", str(tmp_path / "cache"))
    assert done.returncode == 0
    assert done.stdout.startswith("damaged (")


def test_a_pack_of_an_older_version_is_not_called_damaged(
    qwell: Any, tmp_path: Path, packs: Path
) -> None:
    pack = write_tiny_pack(packs / "a.qpack")
    raw = bytearray(pack.read_bytes())
    raw[8] -= 1  # the version
    pack.write_bytes(raw)
    where = ("--cache-dir", str(tmp_path / "cache"))
    assert qwell("models", *where).stdout.startswith("of an older version")
    (row,) = json.loads(qwell("models", "--json", *where).stdout)
    assert row["outdated"]
    assert "fault" not in row
    done = qwell("models", "verify", *where)
    assert done.returncode == 0
    assert done.stdout.startswith("of an older version")
    removed = qwell("models", "remove", pack.name, "--yes", *where)
    assert removed.returncode == 0
    assert not pack.exists()


def test_an_empty_cache_says_how_to_fill_it(qwell: Any, tmp_path: Path) -> None:
    assert "qwell pull" in qwell("models", "--cache-dir", str(tmp_path / "none")).stdout


def test_pull_tells_what_is_ready_and_where(qwell: Any, tmp_path: Path) -> None:
    pack = write_tiny_pack(tmp_path / "tiny.qpack")
    done = qwell("pull", str(pack), "--cache-dir", str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ready: ")
    assert str(pack) in done.stdout


def test_pull_of_a_missing_path_is_an_error_with_its_fix(qwell: Any, tmp_path: Path) -> None:
    done = qwell("pull", str(tmp_path / "nothing"), "--cache-dir", str(tmp_path / "cache"))
    assert done.returncode == 2
    assert "error: model-path-missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_verify_tells_damage_by_its_exit_code(qwell: Any, tmp_path: Path, packs: Path) -> None:
    pack = write_tiny_pack(packs / "a.qpack")
    where = ("--cache-dir", str(tmp_path / "cache"))
    done = qwell("models", "verify", *where)
    assert (done.returncode, done.stdout) == (0, f"whole  {pack}\n")
    data = bytearray(pack.read_bytes())
    data[-1] ^= 1
    pack.write_bytes(data)
    done = qwell("models", "verify", "a.qpack", "--json", *where)
    assert done.returncode == 1
    (row,) = json.loads(done.stdout)
    assert row["result"] == "damaged (weights-corrupt)"
    assert row["fix"]


def test_removing_asks_unless_it_is_told_not_to(qwell: Any, tmp_path: Path, packs: Path) -> None:
    pack = write_tiny_pack(packs / "a.qpack")
    where = ("--cache-dir", str(tmp_path / "cache"))
    done = qwell("models", "remove", "a.qpack", *where)
    assert (done.returncode, pack.exists()) == (1, True)
    assert "--yes" in done.stderr
    done = qwell("models", "remove", "a.qpack", "--yes", *where)
    assert (done.returncode, pack.exists()) == (0, False)
    done = qwell("models", "remove", "a.qpack", "--yes", *where)
    assert done.returncode == 2
    assert "nothing called 'a.qpack'" in done.stderr


def test_pull_verifies_what_is_there(qwell: Any, tmp_path: Path) -> None:
    pack = write_tiny_pack(tmp_path / "tiny.qpack")
    done = qwell("pull", str(pack), "--json", "--cache-dir", str(tmp_path / "cache"))
    assert json.loads(done.stdout)["path"] == str(pack)
    data = bytearray(pack.read_bytes())
    data[-1] ^= 1
    pack.write_bytes(data)
    done = qwell("pull", str(pack), "--cache-dir", str(tmp_path / "cache"))
    assert done.returncode == 2  # a person's own pack is not ours to replace
    assert "error: weights-corrupt" in done.stderr
