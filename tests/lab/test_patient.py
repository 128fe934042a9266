"""An installation of one's own: ports that nobody else has, and servers that are elsewhere."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from qwell.lab import patient as module
from qwell.lab.case import NotInjected
from qwell.lab.leftovers import Run
from qwell.lab.patient import Patient, free_port


def test_no_port_is_given_twice() -> None:
    ports = [free_port() for _ in range(200)]
    assert len(set(ports)) == 200


def test_a_port_that_somebody_has_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = free_port()
        monkeypatch.setattr(module, "_PORTS", iter([taken.getsockname()[1], free]))
        assert free_port() == free
        with pytest.raises(NotInjected):
            free_port()


def test_what_is_compiled_is_kept_in_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    patient = Patient(Run(tmp_path), "any")
    (patient.folder / "mine.py").touch()
    assert patient.python("import mine").returncode == 0
    assert list((tmp_path / "bytecode").rglob("mine.*.pyc"))
    assert not list(patient.folder.rglob("*.pyc"))


def test_a_server_is_asked_where_it_is(tmp_path: Path) -> None:
    """People are outside; what the server says of itself comes by the way to its place."""
    patient = Patient(Run(tmp_path), "any")
    script = tmp_path / "ip"
    script.write_text('#!/bin/sh\necho "[200, \\"asked by $1\\"]"\n', encoding="ascii")
    script.chmod(0o755)
    patient.environ["PATH"] = str(tmp_path)
    patient.server_prefix = ["ip", "netns"]
    assert patient.get("/ready") == (200, "asked by netns")
    assert patient.prefix == []
