"""The catalogue in one file: the same as the TOML files, or passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from qwell.doctor import catalogue_pack
from qwell.doctor.catalogue_pack import PACK, checksum, pack, packed, parsed


def test_the_pack_says_what_the_files_say() -> None:
    known = packed()
    assert known is not None
    assert {name: known[name] for name in ("faults", "harmless", "concepts")} == parsed()
    assert known["anchors"]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"of": 1}'])
def test_one_that_does_not_fit_is_passed_over(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / PACK.name
    path.write_text(content, encoding="utf-8")
    monkeypatch.setattr(catalogue_pack, "PACK", path)
    assert packed() is None


def test_without_a_pack_the_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_pack, "PACK", tmp_path / "missing.json")
    assert packed() is None


def test_a_new_pack_fits() -> None:
    assert f'"of": {checksum()}' in pack({})
