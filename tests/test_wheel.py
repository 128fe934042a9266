"""A wheel is whole, an archive of the sources makes one, and an empty environment runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from qwell.weights.tiny import write_tiny_pack

ROOT = Path(__file__).parent.parent


def build(kind: str, source: Path, folder: Path) -> Path:
    """The one wheel or sdist that is built without isolation, as `make setup` does."""
    hook = f"build_{kind}"
    code = f"from scikit_build_core import build; build.{hook}({str(folder)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    (made,) = folder.glob("qwell-*")
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from this tree, on top of what `make setup` has compiled."""
    if not (ROOT / "src/qwell/server/static/index.html").exists():
        pytest.skip("the page is not built: make web")
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def wheel_names(wheel: Path) -> list[str]:
    return zipfile.ZipFile(wheel).namelist()


def test_the_wheel_contains_the_page(wheel_names: list[str]) -> None:
    built = (ROOT / "src").rglob("static/**/*")
    page = {str(path.relative_to(ROOT / "src")) for path in built if path.is_file()}
    assert page <= set(wheel_names)


def test_the_wheel_contains_the_engine_and_its_types(wheel_names: list[str]) -> None:
    assert [n for n in wheel_names if n.startswith("qwell/_native.") and n.endswith(".so")]
    assert "qwell/py.typed" in wheel_names


def test_the_wheel_contains_nothing_else(wheel_names: list[str]) -> None:
    kinds = {Path(name).parts[0].partition("-")[0] for name in wheel_names}
    assert kinds == {"qwell"}
    assert not [n for n in wheel_names if "__pycache__" in n]


def test_the_wheel_knows_its_version(wheel: Path) -> None:
    """The git tag; in git without one, the number of commits; else what pyproject.toml says."""
    version = wheel.name.split("-")[1]
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?(\.dev\d+)?(\+\S+)?", version)
    written = zipfile.ZipFile(wheel).read("qwell/_version.py").decode()
    assert written == f'__version__ = "{version}"'


@pytest.mark.timeout(1200)
def test_an_empty_environment_chats_with_what_the_wheel_brings(wheel: Path, tmp_path: Path) -> None:
    """Installed with nothing but what it asks for, far from this tree."""
    venv.create(tmp_path / "env", with_pip=True)
    install = [tmp_path / "env/bin/python", "-m", "pip", "install", "--quiet", wheel]
    subprocess.run(install, cwd=tmp_path, check=True, timeout=400)
    pack = write_tiny_pack(tmp_path / "tiny.qpack")
    home = {"HOME": str(tmp_path), "PATH": os.defpath}
    command = [tmp_path / "env/bin/qwell", "chat", "--json", "--model", pack, "hello"]
    done = subprocess.run(
        command, cwd=tmp_path, env=home, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["text"]


@pytest.mark.timeout(1200)
def test_an_archive_of_the_sources_makes_the_same_wheel(
    wheel_names: list[str], tmp_path: Path
) -> None:
    """The page is in it: who builds from it needs a compiler and no Node."""
    archive = build("sdist", ROOT, tmp_path)
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    (tmp_path / "made").mkdir()
    rebuilt = zipfile.ZipFile(build("wheel", source, tmp_path / "made")).namelist()
    assert named(rebuilt) == named(wheel_names)


def named(names: list[str]) -> set[str]:
    """Without the folder that has the version in its name."""
    return {re.sub(r"^qwell-[^/]+\.dist-info", "dist-info", name) for name in names}


def test_a_release_has_wheels_for_both_architectures_and_systems() -> None:
    program = Path(sys.executable).with_name("cibuildwheel")
    listed = [
        subprocess.run(
            [program, "--print-build-identifiers", "--platform", system],
            cwd=ROOT, check=True, capture_output=True, text=True,
        ).stdout.split()
        for system in ("linux", "macos")
    ]  # fmt: skip
    kinds = {name.partition("-")[2] for names in listed for name in names}
    assert kinds == {"manylinux_x86_64", "manylinux_aarch64", "macosx_x86_64", "macosx_arm64"}
    assert {name.partition("-")[0] for names in listed for name in names} >= {"cp311", "cp313"}
