"""Packages that are missing, too old, or cannot be loaded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qwell.doctor.checks import CHECKS, dependency

Status = Callable[[str, Any], str]
NO_LIBRARY = "ImportError: {}: cannot open shared object file: No such file or directory"
OLD_LIBC = "ImportError: /lib/libm.so.6: version `GLIBC_2.38' not found (required by x.so)"


@pytest.mark.parametrize(
    ("module", "message", "check"),
    [
        ("fastapi", "ModuleNotFoundError: No module named 'starlette'", "dependency.modules"),
        ("numpy", "ImportError: numpy.core.multiarray failed to import", "dependency.compatible"),
        ("numpy", NO_LIBRARY.format("libopenblas.so.0"), "dependency.shared_libraries"),
        ("tokenizers", NO_LIBRARY.format("libgomp.so.1"), "dependency.libgomp"),
        ("tokenizers", NO_LIBRARY.format("libaio.so.1"), "dependency.libaio"),
        ("ssl", NO_LIBRARY.format("libssl.so.3"), "dependency.openssl"),
        ("ssl", "ModuleNotFoundError: No module named '_ssl'", "dependency.openssl"),
        ("tokenizers", OLD_LIBC, "dependency.libc_symbols"),
        (
            "websockets",
            "ModuleNotFoundError: No module named 'websockets'",
            "dependency.websockets",
        ),
        ("qwell._native", "ImportError: undefined symbol: x", "dependency.native_loads"),
    ],
)
def test_each_failure_has_its_check(
    machine: Any, status: Status, module: str, message: str, check: str
) -> None:
    assert status(check, machine) == "pass"
    machine._kept.clear()
    machine.probes["qwell.doctor.import_probe"] = {"failures": {module: message}}
    assert status(check, machine) == "fail"


def test_a_package_that_ends_the_process_is_named(machine: Any, outcome: Any) -> None:
    said = "importing ssl\nimporting numpy\n"
    machine.probes["qwell.doctor.import_probe"] = {"died": -11, "said": said}
    found = outcome("dependency.imports_run", machine)
    assert found.status == "fail"
    assert {e.key: e.value for e in found.evidence}["module"] == "numpy"


def test_the_probe_reports_what_cannot_be_imported(tmp_path: Path) -> None:
    (tmp_path / "broken_package.py").write_text("raise SystemExit(3)", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "qwell.doctor.import_probe", "json", "broken_package", "no_such"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert '"broken_package": "SystemExit: 3"' in done.stdout
    assert "No module named 'no_such'" in done.stdout
    assert '"json"' not in done.stdout


@pytest.mark.parametrize(
    ("version", "bounds", "fits"),
    [
        ("1.26.4", ">=1.26", True),
        ("1.25", ">=1.26", False),
        ("2.0.0rc1", "<3,>=1.26", True),
        ("3.1", "<3,>=1.26", False),
        ("1.2+cpu", "==1.2", True),
    ],
)
def test_version_bounds(version: str, bounds: str, fits: bool) -> None:
    assert dependency._satisfies(version, bounds) is fits


def test_what_is_installed_here_is_enough(machine: Any, status: Status) -> None:
    for name in ("python", "installed", "versions", "native_extension", "build_tools", "shadowed"):
        assert status(f"dependency.{name}", machine) == "pass", name


def test_an_engine_that_is_not_chosen_is_not_looked_for(machine: Any, status: Status) -> None:
    assert status("dependency.transformers", machine) == "skip"


def test_transformers_that_is_too_old(
    make_machine: Any, status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dependency, "_version_of", lambda _name: "4.30.0")
    assert status("dependency.transformers", make_machine(engine="transformers")) == "fail"


def test_a_local_file_that_hides_a_package(
    machine: Any, status: Status, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tokenizers.py").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "tokenizers", raising=False)
    assert status("dependency.shadowed", machine) == "warn"


def test_an_import_without_end_names_its_package(machine: Any, outcome: Any) -> None:
    said = "importing ssl\nimporting numpy\n\nCommand timed out after 12 seconds"
    machine.probes["qwell.doctor.import_probe"] = {"died": 127, "said": said}
    told = outcome("dependency.imports_run", machine)
    assert told.because == "importing it comes to no end"
    assert "numpy" in [fact.value for fact in told.evidence]


@pytest.mark.parametrize(
    ("content", "expected"), [(b"\x7fELF and more", "pass"), (b"<html>", "fail"), (b"", "fail")]
)
def test_an_engine_that_is_no_library(
    make_machine: Any, monkeypatch: pytest.MonkeyPatch, content: bytes, expected: str
) -> None:
    machine = make_machine()
    path = machine.root / "_native.so"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    monkeypatch.setattr(dependency, "extension_path", lambda: str(path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert CHECKS["dependency.native_extension"].run(machine).status == expected
