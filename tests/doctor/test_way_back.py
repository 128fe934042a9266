"""What takes a change back is data, does no harm twice, and leaves alone what changed since."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from qwell.doctor.config_file import write_settings
from qwell.doctor.way_back import WayBack


class Hands:
    def __init__(self) -> None:
        self.changes: list[Mapping[str, Any]] = []

    def restart_worker(self, changes: Mapping[str, Any]) -> None:
        self.changes.append(changes)


@pytest.fixture
def changed(tmp_path: Path) -> WayBack:
    """One change of each sort, made."""
    (tmp_path / "made").write_text("used since", encoding="utf-8")
    (tmp_path / "lies").write_text("old", encoding="utf-8")
    (tmp_path / "mode").touch(mode=0o600)
    lines = write_settings(tmp_path / "config.toml", {"threads": 2})
    return WayBack(
        made=(str(tmp_path / "made"),),
        moved=((str(tmp_path / "was"), str(tmp_path / "lies")),),
        modes=((str(tmp_path / "mode"), 0o400),),
        config=str(tmp_path / "config.toml"),
        lines=lines,
        worker={"threads": 8},
    )


def test_it_survives_json(changed: WayBack) -> None:
    assert WayBack.from_dict(json.loads(json.dumps(dataclasses.asdict(changed)))) == changed


def test_everything_is_taken_back_also_twice(changed: WayBack, tmp_path: Path) -> None:
    hands = Hands()
    for _ in range(2):
        changed.take(hands)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["made.undone", "mode", "was"]
        assert (tmp_path / "made.undone").read_text(encoding="utf-8") == "used since"
        assert (tmp_path / "was").read_text(encoding="utf-8") == "old"
        assert (tmp_path / "mode").stat().st_mode & 0o777 == 0o400
    assert hands.changes == [{"threads": 8}] * 2


def test_what_somebody_has_set_since_stays(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("port = 1\nthreads = 8 # all\n", encoding="utf-8")
    lines = write_settings(path, {"port": 2, "threads": 4, "parallel": 1})
    path.write_text(path.read_text(encoding="utf-8") + "ctx_size = 512\n", encoding="utf-8")
    write_settings(path, {"port": 3})
    WayBack(config=str(path), lines=lines).take(Hands())
    assert path.read_text(encoding="utf-8") == "port = 3\nthreads = 8 # all\nctx_size = 512\n"


def test_what_took_its_place_stays_where_nothing_is_left_to_bring_back(
    changed: WayBack, tmp_path: Path
) -> None:
    (tmp_path / "lies").unlink()
    changed.take(Hands())
    assert (tmp_path / "made").exists()
