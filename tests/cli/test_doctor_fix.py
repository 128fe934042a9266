"""Where a fix is made: by the server itself, by the files here, or not from here."""

from __future__ import annotations

from pathlib import Path

import pytest

from qwell.cli.doctor_fix import ELSEWHERE, fix_all
from qwell.cli.doctor_words import words_for
from qwell.config import Settings
from qwell.doctor.consult import report
from qwell.doctor.finding import Evidence, Finding, Status
from qwell.doctor.system import System

DEAD = "http://192.0.2.1:9"  # an address for examples


def test_nothing_here_is_changed_for_a_server_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    system = System(Settings(data_dir=str(tmp_path / "data")), url=DEAD)
    system.keep("GET /api/doctor/facts", None)  # it does not answer
    found = Finding("api.server", "api", Status.FAIL, (Evidence("url", DEAD),), "nothing there")
    assert not fix_all(report([found]), lambda: system, words_for("en"), consent=True)
    assert ELSEWHERE in capsys.readouterr().out
    assert not (tmp_path / "data").exists()
